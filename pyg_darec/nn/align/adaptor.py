from torch import Tensor
from torch.nn import Module, ModuleDict, ModuleList

from pyg_darec.checks import check_count
from pyg_darec.nn.align.encoder import Encoder


class HybridExpertAdaptor(Module):
    r"""The hybrid-expert adaptor of the `"Towards Open-World Recommendation
    with Knowledge Augmentation from Large Language Models"
    <https://arxiv.org/abs/2306.10933>`_ paper: a mixture of perceptrons,
    some shared by users and items and some dedicated to either of them,

    .. math::
        \mathbf{a} = \sum_k g_k \, P_k(\mathbf{s}), \quad
        \mathbf{g} = \textrm{softmax}(\mathbf{W} \mathbf{s} + \mathbf{b}),

    where users and items have a gate :math:`\mathbf{W}, \mathbf{b}` each.

    Args:
        in_dim (int): The width of the profile embeddings :math:`\mathbf{s}`.
        out_dim (int, optional): The width of the augmented vectors,
            :obj:`None` to take :obj:`width` of the first call.
        num_shared (int, optional): The number of shared experts.
            (default: :obj:`2`)
        num_dedicated (int, optional): The number of experts for users only,
            and of those for items only. (default: :obj:`5`)
        hidden_dim (int, optional): The hidden width of the experts,
            :obj:`None` for the mean of input and output width.
            (default: :obj:`128`)
        num_layers (int, optional): The depth of the experts.
            (default: :obj:`2`)

    Raises:
        ValueError: If a number is out of range or there is no expert.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int | None,
        num_shared: int = 2,
        num_dedicated: int = 5,
        hidden_dim: int | None = 128,
        num_layers: int = 2,
    ) -> None:
        super().__init__()
        for name, num in (
            ('num_shared', num_shared),
            ('num_dedicated', num_dedicated),
        ):
            if num < 0:
                raise ValueError(f"'{name}' must not be negative (got {num})")
        num_experts = num_shared + num_dedicated
        if num_experts == 0:
            raise ValueError(
                "'num_shared' and 'num_dedicated' need to be at least one "
                'expert together (got 0 and 0)'
            )
        check_count(hidden_dim=hidden_dim)

        def experts(num: int) -> ModuleList:
            return ModuleList(
                [
                    Encoder(in_dim, out_dim, hidden_dim, num_layers)
                    for _ in range(num)
                ]
            )

        kinds = 'user', 'item'
        self.shared = experts(num_shared)
        self.dedicated = ModuleDict({k: experts(num_dedicated) for k in kinds})
        self.gate = ModuleDict(
            {k: Encoder(in_dim, num_experts, num_layers=1) for k in kinds}
        )

    def reset_parameters(self) -> None:
        for module in self.modules():
            if isinstance(module, Encoder):
                module.reset_parameters()

    def forward(self, x: Tensor, kind: str, width: int) -> Tensor:
        r"""Returns the augmented vectors.

        Args:
            x (torch.Tensor): Profile embeddings :math:`(N, D)`.
            kind (str): Whose they are, :obj:`'user'` or :obj:`'item'`.
            width (int): The width of the backbone's embeddings, which the
                first call gives to an open :obj:`out_dim`.
        """
        gate = self.gate[kind](x, width).softmax(dim=-1).unbind(dim=-1)
        experts = [*self.shared, *self.dedicated[kind]]  # type: ignore[misc]
        out: Tensor = sum(
            share.unsqueeze(-1) * expert(x, width)
            for share, expert in zip(gate, experts, strict=True)
        )
        return out
