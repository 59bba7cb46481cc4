"""Where negatives come from, from 'fit' to the weights and the checkpoint."""

import pytest
import torch

from pyg_darec.train import fit

KWARGS = {
    'batch_size': 64,
    'lr': 0.01,
    'eval_every': 1,
    'device': 'cpu',
    'progress': False,
}


def test_negatives_reach_the_weights(graph, tiny):
    weights = {}
    for negatives in (None, 'uniform', 'popularity', 'in_batch'):
        options = {} if negatives is None else {'negatives': negatives}
        model = tiny.model()
        fit(model, graph, epochs=2, **options, **KWARGS)
        weights[negatives] = torch.cat(
            [p.flatten() for p in model.parameters()]
        )
    assert weights[None].equal(weights['uniform'])
    assert not weights['uniform'].equal(weights['popularity'])
    assert not weights['uniform'].equal(weights['in_batch'])
    assert not weights['popularity'].equal(weights['in_batch'])


@pytest.mark.parametrize('negatives', ['popularity', 'in_batch'])
def test_resume(tmp_path, graph, tiny, negatives):
    kwargs = {**KWARGS, 'negatives': negatives}
    whole, parts = tiny.model(), tiny.model()
    parts.load_state_dict(whole.state_dict())
    fit(whole, graph, epochs=3, **kwargs)
    fit(parts, graph, epochs=1, run_dir=tmp_path, **kwargs)
    with pytest.raises(ValueError, match=r"another 'negatives'.*got uniform"):
        fit(parts, graph, epochs=3, run_dir=tmp_path, resume=True, **KWARGS)
    fit(parts, graph, epochs=3, run_dir=tmp_path, resume=True, **kwargs)
    for name, value in whole.state_dict().items():
        assert parts.state_dict()[name].equal(value)


def test_unknown_negatives(graph, tiny):
    with pytest.raises(ValueError, match=r"'negatives' .* \(got 'hard'\)"):
        fit(tiny.model(), graph, epochs=1, negatives='hard', **KWARGS)
