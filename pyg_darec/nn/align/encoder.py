import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, UninitializedParameter
from torch.nn.functional import leaky_relu, linear
from torch.nn.init import uniform_, xavier_uniform_
from torch.nn.modules.lazy import LazyModuleMixin

from pyg_darec.checks import check_count


class Encoder(LazyModuleMixin, Module):
    r"""A multi-layer perceptron with LeakyReLU between its layers and
    Xavier-uniform weights. Widths that are not known yet are set by the
    first call, as those of :obj:`torch_geometric.nn.Linear(-1, ...)` are;
    its parameters can be given to an optimizer before.

    Args:
        in_dim (int, optional): The input width, :obj:`None` to take that of
            the first input.
        out_dim (int, optional): The output width, :obj:`None` to take
            :obj:`width` of the first call.
        hidden_dim (int, optional): The width of hidden layers,
            :obj:`None` for :math:`\lfloor (d_{in} + d_{out}) / 2 \rfloor`.
            (default: :obj:`None`)
        num_layers (int, optional): The number of linear layers.
            (default: :obj:`2`)
    """

    cls_to_become = None

    def __init__(
        self,
        in_dim: int | None,
        out_dim: int | None,
        hidden_dim: int | None = None,
        num_layers: int = 2,
    ) -> None:
        super().__init__()
        check_count(num_layers=num_layers)
        self._in_dim = in_dim
        self._out_dim = out_dim
        self.hidden_dim = hidden_dim
        self.num_layers = num_layers
        for i in range(num_layers):
            setattr(self, f'weight{i}', UninitializedParameter())
            setattr(self, f'bias{i}', UninitializedParameter())
        if in_dim is not None and out_dim is not None:
            self._materialize(in_dim, out_dim)
        self.reset_parameters()

    @property
    def in_dim(self) -> int | None:
        r"""The input width, :obj:`None` while it is open."""
        is_open = self.has_uninitialized_params()
        return self._in_dim if is_open else self._layers()[0][0].size(1)

    @property
    def out_dim(self) -> int | None:
        r"""The output width, :obj:`None` while it is open."""
        is_open = self.has_uninitialized_params()
        return self._out_dim if is_open else self._layers()[-1][0].size(0)

    def _layers(self) -> list[tuple[Any, Any]]:
        return [
            (getattr(self, f'weight{i}'), getattr(self, f'bias{i}'))
            for i in range(self.num_layers)
        ]

    def _materialize(self, in_dim: int, out_dim: int) -> None:
        hidden = self.hidden_dim or (in_dim + out_dim) // 2
        dims = [in_dim, *[hidden] * (self.num_layers - 1), out_dim]
        for (weight, bias), (i, o) in zip(
            self._layers(), pairwise(dims), strict=True
        ):
            weight.materialize((o, i))
            bias.materialize((o,))

    # Nothing that is made in inference mode can be trained afterwards.
    @torch.inference_mode(False)
    def initialize_parameters(self, x: Tensor, width: int) -> None:
        r"""Sets the widths that are open; called before the first
        :meth:`forward`.
        """
        if self.has_uninitialized_params():
            self._materialize(self.in_dim or x.size(-1), self.out_dim or width)
            self.reset_parameters()

    def reset_parameters(self) -> None:
        if self.has_uninitialized_params():
            return
        for weight, bias in self._layers():
            xavier_uniform_(weight)
            bound = 1 / math.sqrt(weight.size(1))
            uniform_(bias, -bound, bound)

    def forward(self, x: Tensor, width: int) -> Tensor:
        r"""Encodes :obj:`x`.

        Args:
            x (torch.Tensor): The input :math:`(*, d_{in})`.
            width (int): The width of the backbone's embeddings, which the
                first call gives to an open :obj:`out_dim`.
        """
        x = x.to(self._layers()[0][0].dtype)
        for i, (weight, bias) in enumerate(self._layers()):
            x = linear(leaky_relu(x) if i else x, weight, bias)
        return x

    def __repr__(self) -> str:
        return (
            f'{self.__class__.__name__}({self.in_dim}, {self.out_dim}, '
            f'num_layers={self.num_layers})'
        )
