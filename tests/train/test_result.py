from pyg_darec.train import FitResult


def rows(*values):
    return [
        {'epoch': i, 'loss': 1.0} | ({} if v is None else {'NDCG@5': v})
        for i, v in enumerate(values, start=1)
    ]


def test_first_of_equals_is_best():
    result = FitResult(rows(None, 0.2, None, 0.3, 0.3, 0.1), 'NDCG@5')
    assert result.best_epoch == 4
    assert result.best_metrics == {'NDCG@5': 0.3}
    assert result.num_stale == 2
    assert [row['epoch'] for row in result.evaluations] == [2, 4, 5, 6]


def test_without_evaluations():
    for monitor in (None, 'NDCG@5'):
        result = FitResult(rows(None, None), monitor)
        assert (result.best_epoch, result.best_metrics) == (2, {})
        assert result.num_stale == 0
    assert FitResult([], None).best_epoch == 0


def test_repr_is_short():
    result = FitResult(rows(0.2), 'NDCG@5')
    assert str(result) == (
        "FitResult(monitor='NDCG@5', best_epoch=1, "
        "best_metrics={'NDCG@5': 0.2})"
    )
