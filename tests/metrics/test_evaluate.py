import math
import warnings

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.graph import BipartiteGraph
from pyg_darec.metrics import (
    evaluate,
    evaluate_embeddings,
    evaluate_per_user,
)

Pairs = set[tuple[int, int]]
NAMES = ['Recall', 'NDCG', 'Precision', 'HitRatio', 'MRR', 'Coverage']


class Fixed(torch.nn.Module):
    """A recommender whose embeddings are given."""

    def __init__(self, user: Tensor, item: Tensor) -> None:
        super().__init__()
        self.user, self.item = user, item

    def forward(self, data: object) -> tuple[Tensor, Tensor]:
        assert not self.training
        return self.user, self.item


def reference(
    scores: list[list[float]], masked: Pairs, held_out: Pairs, k: int
) -> tuple[list[int], dict[str, list[float]], float]:
    """The protocol, user by user and item by item, over lists."""
    names = ('Recall', 'NDCG', 'Precision', 'HitRatio', 'MRR')
    out: dict[str, list[float]] = {f'{name}@{k}': [] for name in names}
    users, recommended = [], set()
    for user, row in enumerate(scores):
        relevant = {i for u, i in held_out - masked if u == user}
        if not relevant:
            continue
        users.append(user)
        items = [i for i in range(len(row)) if (user, i) not in masked]
        items = sorted(items, key=lambda i: -row[i])[:k]
        recommended |= set(items)
        ranks = [n for n, i in enumerate(items, start=1) if i in relevant]
        ideal = range(1, min(k, len(relevant)) + 1)
        gain = sum(1 / math.log2(1 + n) for n in ranks)
        best = sum(1 / math.log2(1 + n) for n in ideal)
        out[f'Recall@{k}'].append(len(ranks) / len(relevant))
        out[f'NDCG@{k}'].append(gain / best)
        out[f'Precision@{k}'].append(len(ranks) / k)
        out[f'HitRatio@{k}'].append(float(bool(ranks)))
        out[f'MRR@{k}'].append(1 / ranks[0] if ranks else 0.0)
    return users, out, len(recommended) / len(scores[0])


def as_edge_index(pairs: list[tuple[int, int]] | Pairs) -> Tensor:
    return torch.tensor(list(pairs), dtype=torch.long).view(-1, 2).t()


def example(**splits: list[tuple[int, int]]) -> tuple[Fixed, BipartiteGraph]:
    """Item i has score i for all 3 users; 4 items."""
    model = Fixed(torch.ones(3, 1), torch.arange(4.0).view(-1, 1))
    held_out = {name: as_edge_index(pairs) for name, pairs in splits.items()}
    train = torch.tensor([[0, 1, 2], [3, 3, 0]])
    graph = BipartiteGraph(train, 3, 4, edge_label_index=held_out)
    return model, graph


@given(data=st.data())
@settings(max_examples=80)
def test_equals_reference(data: st.DataObject) -> None:
    num_users = data.draw(st.integers(1, 5))
    num_items = data.draw(st.integers(1, 7))
    ks = data.draw(st.sets(st.integers(1, num_items), min_size=1))
    pair = st.tuples(
        st.integers(0, num_users - 1), st.integers(0, num_items - 1)
    )
    pairs = st.lists(pair, min_size=1, max_size=25)
    train, val, test = (data.draw(pairs) for _ in range(3))
    mask_val = data.draw(st.booleans())
    masked = set(train) | (set(val) if mask_val else set())
    assume(set(test) - masked)

    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 999)))
    user = torch.randn(num_users, 3, generator=generator).double()
    item = torch.randn(num_items, 3, generator=generator).double()
    graph = BipartiteGraph(
        as_edge_index(train),
        num_users,
        num_items,
        edge_label_index={
            'val': as_edge_index(val),
            'test': as_edge_index(test),
        },
    )
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of test pairs that are masked
        out = evaluate_embeddings(
            user, item, graph, ks=list(ks), mask_val=mask_val
        )
    scores = (user @ item.t()).tolist()
    mean = out.mean()
    assert len(mean) == len(NAMES) * len(ks)
    for k in ks:
        users, values, coverage = reference(scores, masked, set(test), k)
        assert out.user.tolist() == users
        assert mean[f'Coverage@{k}'] == pytest.approx(coverage)
        for name, expected in values.items():
            got = out.per_user[name].tolist()
            assert got == pytest.approx(expected, abs=1e-6)
            average = sum(expected) / len(expected)
            assert mean[name] == pytest.approx(average, abs=1e-6)


def test_known_answer() -> None:
    # User 0 is shown items 2 and 1, user 2 items 3 and 2; user 1 has no
    # test items and does not count.
    model, graph = example(test=[(0, 1), (2, 3)])
    out = evaluate(model, graph, ks=(1, 2))
    discount = 1 / math.log2(3)
    assert out == pytest.approx(
        {
            'Recall@1': 0.5,
            'Recall@2': 1.0,
            'NDCG@1': 0.5,
            'NDCG@2': (1 + discount) / 2,
            'Precision@1': 0.5,
            'Precision@2': 0.5,
            'HitRatio@1': 0.5,
            'HitRatio@2': 1.0,
            'MRR@1': 0.5,
            'MRR@2': 0.75,
            'Coverage@1': 0.5,
            'Coverage@2': 0.75,
        }
    )
    assert all(type(value) is float for value in out.values())


def test_default_cut_offs() -> None:
    graph = BipartiteGraph(
        torch.tensor([[0], [0]]),
        1,
        20,
        edge_label_index={'test': torch.tensor([[0], [1]])},
    )
    out = evaluate(Fixed(torch.ones(1, 2), torch.randn(20, 2)), graph)
    assert list(out) == [f'{name}@{k}' for name in NAMES for k in (5, 10, 20)]
    assert out['Recall@20'] == 1.0


def test_validation_items_are_masked_on_request_only() -> None:
    model, graph = example(val=[(0, 2)], test=[(0, 1)])
    assert evaluate(model, graph, ks=[1])['Recall@1'] == 0.0
    assert evaluate(model, graph, ks=[1], mask_val=True)['Recall@1'] == 1.0
    assert evaluate(model, graph, 'val', ks=[1])['Recall@1'] == 1.0


def test_values_per_user() -> None:
    model, graph = example(test=[(2, 3), (0, 1)])
    out = evaluate_per_user(model, graph, ks=[1])
    assert out.user.tolist() == [0, 2]
    assert out.per_user['Recall@1'].tolist() == [0.0, 1.0]
    assert out.per_user['Recall@1'].dtype == torch.double
    assert out.mean() == evaluate(model, graph, ks=[1])
    same = evaluate_embeddings(model.user, model.item, graph, ks=[1])
    assert same.mean() == out.mean()


def test_values_per_user_are_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moved, cpu = [], Tensor.cpu

    def note(x: Tensor) -> Tensor:
        moved.append(x.data_ptr())
        return cpu(x)

    monkeypatch.setattr(Tensor, 'cpu', note)
    out = evaluate_per_user(*example(test=[(2, 3), (0, 1)]), ks=[1])
    for x in (out.user, *out.per_user.values()):
        assert x.data_ptr() in moved


def test_hetero_data() -> None:
    model, graph = example(test=[(0, 1), (2, 3)])
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = 3, 4
    store = data['user', 'rates', 'item']
    store.edge_index = graph.edge_index
    store.test_edge_label_index = graph.edge_label_index['test']
    assert evaluate(model, data, ks=[2]) == evaluate(model, graph, ks=[2])


def test_chunk_size_and_label_order_do_not_matter() -> None:
    user = torch.randint(-99, 99, (40, 8)).float()
    item = torch.randint(-99, 99, (60, 8)).float()
    cells = torch.rand(40, 60)
    train = (cells < 0.2).nonzero().t()
    test = (cells > 0.9).nonzero().t()
    shuffled = test[:, torch.randperm(test.size(1))].repeat(1, 2)
    outs = []
    for label, chunk_size in ((test, None), (test, 7), (shuffled, 1)):
        graph = BipartiteGraph(train, 40, 60, edge_label_index={'test': label})
        out = evaluate_embeddings(user, item, graph, chunk_size=chunk_size)
        outs.append(out.mean())
    assert outs[0] == outs[1] == outs[2]


def test_training_mode_is_restored() -> None:
    model, graph = example(test=[(0, 1)])
    model.train()
    evaluate(model, graph, ks=[1])
    assert model.training


def test_masked_pairs_are_left_out_with_a_warning() -> None:
    model, graph = example(test=[(0, 3), (0, 1), (1, 3)])
    with pytest.warns(UserWarning, match="2 of the 3 .* split 'test'"):
        out = evaluate_per_user(model, graph, ks=[2])
    assert out.user.tolist() == [0]
    assert out.mean()['Recall@2'] == 1.0


def test_clean_split_does_not_warn(recwarn: pytest.WarningsRecorder) -> None:
    evaluate(*example(test=[(0, 1)]), ks=[1])
    assert not recwarn.list


def test_missing_split() -> None:
    model, graph = example(val=[(0, 1)])
    message = r"no split 'test'.*SplitInteractions.*\(got \['val'\]\)"
    with pytest.raises(ValueError, match=message):
        evaluate(model, graph, ks=[1])
    model, graph = example(test=[(0, 1)])
    with pytest.raises(ValueError, match=r"no split 'val'.*'test'"):
        evaluate(model, graph, ks=[1], mask_val=True)


@pytest.mark.parametrize('pairs', [[], [(0, 3)]])
def test_empty_split(pairs: list[tuple[int, int]]) -> None:
    model, graph = example(test=pairs)
    message = rf"'test' has no interaction.*\(got {len(pairs)}, of"
    with pytest.raises(ValueError, match=message):
        evaluate(model, graph, ks=[1])


def test_masking_what_is_evaluated() -> None:
    model, graph = example(val=[(0, 1)])
    with pytest.raises(ValueError, match="'mask_val' would mask"):
        evaluate(model, graph, 'val', ks=[1], mask_val=True)


@pytest.mark.parametrize(
    ('ks', 'message'),
    [
        ([1, 5], r"'k'.*at most the number of items, 4 \(got 5\)"),
        ([0], r"'k' needs to be a positive integer \(got 0\)"),
        ([-3], r"'k'.*positive.*\(got -3\)"),
        ([2.0], r"'k'.*positive.*\(got 2.0\)"),
        ([], r"'ks' needs to be a sequence.*\(got \[\]\)"),
        (3, r"'ks' needs to be a sequence.*\(got 3\)"),
    ],
)
def test_wrong_cut_offs(ks: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(*example(test=[(0, 1)]), ks=ks)


def test_repeated_cut_offs() -> None:
    assert len(evaluate(*example(test=[(0, 1)]), ks=[2, 1, 2])) == 12


def test_embeddings_that_do_not_fit() -> None:
    model, graph = example(test=[(0, 1)])
    with pytest.raises(ValueError, match='one row per item; the data has 4'):
        evaluate_embeddings(model.user, model.item[1:], graph, ks=[1])
    with pytest.raises(ValueError, match='one row per user; the data has 3'):
        evaluate(Fixed(torch.ones(4, 1), model.item), graph, ks=[1])
