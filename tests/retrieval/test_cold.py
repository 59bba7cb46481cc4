from typing import Any

import numpy as np
import pytest
import torch
from conformance.graphs import telling_data
from retrieval.example import countdown, shop
from torch import Tensor
from torch.nn import DataParallel
from torch.optim.swa_utils import AveragedModel

from pyg_darec import DaRecAlign, fit
from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.models import LightGCN
from pyg_darec.retrieval import (
    ProfileEmbedder,
    compute_embeddings,
    recommend,
    recommend_cold,
)


class Linear(torch.nn.Module):
    """Every node is embedded from its profile, known or not."""

    def __init__(self, dim: int = 4) -> None:
        super().__init__()
        self.user = torch.nn.Linear(2, dim)
        self.item = torch.nn.Linear(2, dim)
        self.dropout = torch.nn.Dropout(0.5)

    def embed_profiles(self, llm_x: Tensor, kind: str) -> Tensor:
        return self.dropout(getattr(self, kind)(llm_x))

    def forward(self, data: BipartiteGraph) -> tuple[Tensor, Tensor]:
        user, item = (
            self.embed_profiles(data[kind].llm_x, kind)
            for kind in ('user', 'item')
        )
        return user, item


@pytest.fixture
def model() -> Linear:
    torch.manual_seed(0)
    return Linear()


def test_a_cold_user_ranks_like_a_known_one_of_that_profile(
    model: Linear,
) -> None:
    data = shop()
    known = recommend(model, data, k=5, exclude_seen=False)
    model.train()
    cold = recommend_cold(model, data, data['user'].llm_x, k=5)
    assert model.training
    assert cold.item.equal(known.item)
    torch.testing.assert_close(cold.score, known.score)
    assert not cold.score.requires_grad


def test_a_cold_item_scores_like_a_known_one_of_that_profile(
    model: Linear,
) -> None:
    data = shop()
    new = data['item'].llm_x[[2]]
    out = recommend_cold(
        model, data, data['user'].llm_x, k=6, allow=[2, 5], new_items=new
    )
    assert set(out.item[0].tolist()) == {2, 5, -1}
    torch.testing.assert_close(out.score[:, 0], out.score[:, 1])


def test_profiles_as_encoders_give_them(model: Linear) -> None:
    data = shop()
    x = data['user'].llm_x, data['item'].llm_x[[2]]
    wanted = recommend_cold(model, data, x[0], k=3, new_items=x[1])
    for dtype in (np.float32, np.float64):
        pair = x[0].numpy().astype(dtype), x[1].numpy().astype(dtype)
        found = recommend_cold(model, data, pair[0], k=3, new_items=pair[1])
        assert torch.equal(found.item, wanted.item)


def test_lists_of_each_cold_user(model: Linear) -> None:
    llm_x = torch.randn(4, 2)  # more than there are known users
    deny = torch.tensor([[3, 3, 3, 3], [0, 1, 2, 3]])
    out = recommend_cold(model, shop(), llm_x, k=2, deny=deny)
    assert out.item[3].tolist() == [4, -1]
    assert (out.item[:3] >= 0).all()


def test_models_that_can_and_cannot(model: Linear) -> None:
    assert isinstance(model, ProfileEmbedder)
    match = r"'Fixed' cannot embed users or items.*'DaRecAlign'.*\(got"
    with pytest.raises(TypeError, match=match):
        recommend_cold(countdown(), shop(), torch.ones(1, 2))


@pytest.mark.parametrize('wrap', [AveragedModel, DataParallel])
def test_inside_of_what_torch_wraps(wrap: Any) -> None:
    data = telling_data()
    model = DaRecAlign(LightGCN.from_data(data, 8), 12)
    fit(model, data, epochs=2, lr=0.01, device='cpu', progress=False)
    new = torch.randn(2, 12)
    user, item = compute_embeddings(model, data)
    expected = torch.cat([item, model.embed_profiles(new)])
    wrapped = wrap(model)
    every = {'k': 22, 'exclude_seen': False}
    out = recommend(wrapped, data, **every, new_items=new)
    assert out.item.equal(recommend(model, data, **every, new_items=new).item)
    torch.testing.assert_close(
        out.score, (user @ expected.t()).sort(descending=True).values
    )
    cold = recommend_cold(wrapped, data, new, new_items=new)
    assert cold.item.equal(recommend_cold(model, data, new, new_items=new).item)
    with pytest.raises(TypeError, match="'LightGCN' cannot embed users"):
        recommend_cold(wrap(model.model), data, new)


@pytest.mark.parametrize(
    ('llm_x', 'message'),
    [
        (torch.ones(1, 3), r"'llm_x'.*as wide as.*users, 2;.*\(got 3\)"),
        (torch.tensor([[1.0, float('nan')]]), 'new users are not finite'),
        (torch.ones(2), r'new users need.*\(got'),
        (torch.ones(1, 2).long(), r'new users need.*\(got torch.int64'),
        ([[1.0, 2.0]], r"new users need.*\(got 'list'\)"),
    ],
)
def test_bad_profiles(model: Linear, llm_x: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recommend_cold(model, shop(), llm_x)


@pytest.mark.parametrize(
    ('out', 'message'),
    [
        (torch.ones(1, 3), r'same width \(got 3 and 4\)'),
        (torch.ones(2, 4), r"embed_profiles' needs to give one row.*2 for 1"),
        (torch.full((1, 4), float('inf')), 'NaN or infinity'),
    ],
)
def test_bad_output(out: Tensor, message: str) -> None:
    class Bad(Linear):
        def embed_profiles(self, llm_x: Tensor, kind: str) -> Tensor:
            return super().embed_profiles(llm_x, kind) if self.known else out

        def forward(self, data: BipartiteGraph) -> tuple[Tensor, Tensor]:
            self.known = True
            pair = super().forward(data)
            self.known = False
            return pair

    with pytest.raises(ValueError, match=message):
        recommend_cold(Bad(), shop(), torch.ones(1, 2), k=2)
