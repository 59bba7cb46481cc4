from torch import Tensor
from torch.nn.functional import softplus


def bpr_loss(
    user: Tensor, item: Tensor, batch: tuple[Tensor, Tensor, Tensor]
) -> Tensor:
    r"""The Bayesian personalised ranking loss of the `"BPR: Bayesian
    Personalized Ranking from Implicit Feedback"
    <https://arxiv.org/abs/1205.2618>`_ paper,

    .. math::
        \mathcal{L} = \frac{1}{B} \sum_{(u, p, n)} \textrm{softplus}
        (\langle \mathbf{e}_u, \mathbf{e}_n \rangle -
        \langle \mathbf{e}_u, \mathbf{e}_p \rangle),

    zero for an empty batch.

    Args:
        user (torch.Tensor): The user embeddings.
        item (torch.Tensor): The item embeddings.
        batch (tuple): Indices of users, positive and negative items.

    Shapes:
        - **user:** :math:`(U, d)`
        - **item:** :math:`(I, d)`
        - **batch:** three times :math:`(B)`
    """
    u, pos, neg = batch
    anchor = user[u]
    margin = (anchor * (item[neg] - item[pos])).sum(dim=-1)
    return softplus(margin).sum() / max(u.numel(), 1)


def l2_penalty(*params: Tensor) -> Tensor:
    r"""The squared :math:`\ell_2` norm of all entries of
    :obj:`params`.
    """
    return sum(
        (param.square().sum() for param in params[1:]),
        start=params[0].square().sum(),
    )
