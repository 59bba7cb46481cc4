import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.metrics import LinkPredCoverage, LinkPredRecall

from pyg_darec.metrics import clean_ranking, ranking_metrics
from pyg_darec.metrics.ranking import METRICS


def recall(pred: Tensor, label: Tensor) -> float:
    metric = LinkPredRecall(pred.size(1))
    metric.update(pred, label)
    return float(metric.compute())


def test_padding_is_a_hit_in_pyg_and_none_here() -> None:
    # User 0 has item 2 held out and never gets it; the padding of user 1
    # flattens to that very pair.
    pred = torch.tensor([[0, 1], [0, -1]])
    label = torch.tensor([[0, 1], [2, 1]])
    assert recall(pred, label) == 0.5  # the defect
    assert recall(*clean_ranking(pred, label, num_items=3)) == 0.0
    values, _ = ranking_metrics(pred, label, [2], num_items=3)
    assert all(not value.any() for value in values.values())


def test_padding_covers_the_last_item_in_pyg_and_none_here() -> None:
    pred, label = torch.tensor([[0, -1]]), torch.tensor([[0], [1]])
    metric = LinkPredCoverage(2, num_dst_nodes=4)
    metric.update(pred, label)
    assert float(metric.compute()) == 0.5  # the defect
    _, coverage = ranking_metrics(pred, label, [1, 2], num_items=4)
    assert coverage == {'Coverage@1': 0.25, 'Coverage@2': 0.25}


def test_repeated_predictions_inflate_in_pyg_and_not_here() -> None:
    pred = torch.tensor([[3, 3, 3, 1]])
    label = torch.tensor([[0, 0], [3, 0]])
    assert recall(pred, label) == 1.5  # the defect
    assert recall(*clean_ranking(pred, label, num_items=5)) == 0.5


def test_repeated_labels_distort_in_pyg_and_not_here() -> None:
    pred = torch.tensor([[3, 1]])
    label = torch.tensor([[0, 0, 0], [3, 3, 0]])
    assert recall(pred, label) == pytest.approx(1 / 3)  # the defect
    assert recall(*clean_ranking(pred, label, num_items=5)) == 0.5


def test_clean_ranking_keeps_order_and_inputs() -> None:
    pred = torch.tensor([[4, 1, 4, -1, 1, 0], [2, 0, 1, 3, 4, -1]])
    label = torch.tensor([[1, 0, 1, 1], [2, 4, 2, 0]])
    before = pred.clone(), label.clone()
    out, unique = clean_ranking(pred, label, num_items=5)
    assert out.tolist() == [[4, 1, 5, 5, 5, 0], [2, 0, 1, 3, 4, 5]]
    assert unique.tolist() == [[0, 1, 1], [4, 0, 2]]
    assert pred.equal(before[0])
    assert label.equal(before[1])


@given(
    st.lists(st.lists(st.integers(-1, 4), min_size=3, max_size=3), min_size=1)
)
def test_clean_ranking_keeps_first_occurrences(rows: list[list[int]]) -> None:
    label = torch.tensor([[0], [0]])
    pred, _ = clean_ranking(torch.tensor(rows), label, num_items=5)
    for row, out in zip(rows, pred.tolist(), strict=True):
        firsts = [i >= 0 and i not in row[:n] for n, i in enumerate(row)]
        expected = [
            i if first else 5 for i, first in zip(row, firsts, strict=True)
        ]
        assert out == expected


@pytest.mark.parametrize(
    ('pred', 'label', 'message'),
    [
        ([[5]], [[0], [0]], r"'pred_index_mat'.*\[-1, 4\] \(got 5\)"),
        ([[-2]], [[0], [0]], r"'pred_index_mat'.*\(got -2\)"),
        ([[0]], [[1], [0]], r"'edge_label_index\[0\]'.*\[0, 0\] \(got 1\)"),
        ([[0]], [[0], [-1]], r"'edge_label_index\[1\]'.*\(got -1\)"),
    ],
)
def test_out_of_range(
    pred: list[list[int]], label: list[list[int]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        clean_ranking(torch.tensor(pred), torch.tensor(label), 5)


@pytest.mark.parametrize('dtype', [torch.int32, torch.int64])
def test_more_pairs_than_narrow_integers(dtype: torch.dtype) -> None:
    num = 2**16
    pred = torch.full((num + 1, 1), -1, dtype=dtype)
    pred[num] = 5
    label = torch.tensor([[num], [5]], dtype=dtype)
    for index in (pred, pred.long()):
        values, _ = ranking_metrics(index, label, [1], num)
        assert values['Recall@1'].nonzero().tolist() == [[num]]


def test_cut_off_beyond_the_predictions() -> None:
    pred, label = torch.tensor([[0, 1]]), torch.tensor([[0], [0]])
    with pytest.raises(ValueError, match=r"'ks'.*2 \(got 3\)"):
        ranking_metrics(pred, label, [1, 3], 5)


def test_closed_form() -> None:
    # Hits at ranks 2 and 3 of 4, and three relevant items.
    pred = torch.tensor([[4, 0, 2, 1]])
    label = torch.tensor([[0, 0, 0], [0, 2, 3]])
    values, coverage = ranking_metrics(pred, label, [2, 4], num_items=8)
    ideal = [1 / math.log2(rank + 1) for rank in (1, 2, 3)]
    expected = {
        'Recall@2': 1 / 3,
        'Recall@4': 2 / 3,
        'NDCG@2': ideal[1] / sum(ideal[:2]),
        'NDCG@4': sum(ideal[1:]) / sum(ideal),
        'Precision@2': 1 / 2,
        'Precision@4': 2 / 4,
        'HitRatio@2': 1.0,
        'HitRatio@4': 1.0,
        'MRR@2': 1 / 2,
        'MRR@4': 1 / 2,
    }
    assert {k: float(v) for k, v in values.items()} == pytest.approx(expected)
    assert coverage == {'Coverage@2': 2 / 8, 'Coverage@4': 4 / 8}


def test_values_are_those_that_pyg_averages() -> None:
    """Pins the private method that gives the values of single examples."""
    pred = torch.rand(50, 30).argsort()[:, :10]
    label = (torch.rand(50, 30) < 0.2).nonzero().t()
    values, _ = ranking_metrics(pred, label, [1, 5, 10], 30)
    has_label = torch.zeros(50, dtype=torch.bool)
    has_label[label[0]] = True
    for name, cls in METRICS.items():
        for k in (1, 5, 10):
            metric = cls(k)
            metric.update(pred, label)
            value = values[f'{name}@{k}']
            assert value.dtype == torch.double
            assert value.shape == (50,)
            mean = float(value[has_label].mean())
            assert mean == pytest.approx(float(metric.compute()), rel=1e-5)
