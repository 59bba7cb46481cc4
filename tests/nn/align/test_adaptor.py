from typing import Any

import pytest
import torch

from pyg_darec.nn.align import HybridExpertAdaptor


def perceptron(expert: Any, x: torch.Tensor) -> torch.Tensor:
    first, second = expert.weight0.double(), expert.weight1.double()
    x = x @ first.t() + expert.bias0.double()
    x = torch.where(x > 0, x, 0.01 * x)
    return x @ second.t() + expert.bias1.double()


@pytest.mark.parametrize(('shared', 'dedicated'), [(2, 3), (0, 2), (2, 0)])
def test_equals_the_formula(shared: int, dedicated: int) -> None:
    torch.manual_seed(0)
    model = HybridExpertAdaptor(6, 4, shared, dedicated, hidden_dim=5)
    x = torch.randn(7, 6)
    for kind in ('user', 'item'):
        gate: Any = model.gate[kind]
        experts: list[Any] = [*model.shared, *model.dedicated[kind]]  # type: ignore[misc]
        assert len(experts) == shared + dedicated
        for i in range(7):
            row = x[i].double()
            logit = gate.weight0.double() @ row + gate.bias0.double()
            share = logit.exp() / logit.exp().sum()
            parts = torch.stack([perceptron(expert, row) for expert in experts])
            expected = (share[:, None] * parts).sum(dim=0)
            got = model(x[i : i + 1], kind, 9)[0].double()
            assert torch.allclose(got, expected, atol=1e-6)


def test_users_and_items_share_some_experts() -> None:
    model = HybridExpertAdaptor(6, 4, num_shared=1, num_dedicated=1)
    model(torch.randn(3, 6), 'user', 4).sum().backward()
    reached = {n for n, p in model.named_parameters() if p.grad is not None}
    kinds = {name.split('.')[1] for name in reached if 'shared' not in name}
    assert kinds == {'user'}
    assert {name for name in reached if name.startswith('shared')}


def test_open_width() -> None:
    model = HybridExpertAdaptor(6, None, 1, 1)
    assert model(torch.randn(3, 6), 'item', 8).shape == (3, 8)


def test_first_call_in_inference_mode() -> None:
    model, x = HybridExpertAdaptor(6, None, 1, 1), torch.randn(3, 6)
    with torch.inference_mode():
        model(x, 'user', 8)
    model(x, 'user', 8).sum().backward()
    model(x, 'item', 8).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(
    'kwargs',
    [{'num_shared': -1}, {'num_dedicated': -1}, {'hidden_dim': 0}],
)
def test_bad_arguments(kwargs: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"'{next(iter(kwargs))}'"):
        HybridExpertAdaptor(6, 4, **kwargs)  # type: ignore[arg-type]


def test_no_experts() -> None:
    with pytest.raises(ValueError, match='at least one expert'):
        HybridExpertAdaptor(6, 4, 0, 0)
