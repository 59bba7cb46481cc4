import shutil

import pytest
import torch

from pyg_darec.nn.models import LightGCN
from pyg_darec.train import fit
from pyg_darec.train.training_loss import TrainingLoss, compile_loss

KWARGS = {'lr': 0.01, 'device': 'cpu', 'progress': False}


def test_is_the_loss_of_the_model(model, graph):
    module = TrainingLoss(model)
    assert compile_loss(module, False) is module
    batch = torch.tensor([1, 2]), torch.tensor([3, 4]), torch.tensor([5, 6])
    torch.manual_seed(0)
    expected, _ = model.loss(graph, batch)
    torch.manual_seed(0)
    assert module(graph, batch)[0].equal(expected)


def test_unknown_mode(model, graph):
    with pytest.raises(ValueError, match=r"'compile' .*\(got 'fast'\)"):
        fit(model, graph, compile='fast', **KWARGS)


@pytest.mark.skipif(
    not any(shutil.which(name) for name in ('c++', 'g++', 'clang++')),
    reason='needs a C++ compiler',
)
def test_compiled_run_equals_eager_run(tmp_path, graph):
    """Random numbers included: every step drops other edges."""

    def run(**kwargs):
        torch.manual_seed(0)
        model = LightGCN.from_data(graph, 8, num_layers=1)
        result = fit(model, graph, 2, graph.num_edges, **KWARGS, **kwargs)
        return model, [row['loss'] for row in result.history]

    torch.compiler.reset()
    model, losses = run()
    folder = {'run_dir': tmp_path}
    compiled, same = run(compile=True, **folder)
    assert same == pytest.approx(losses, rel=1e-5)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(
            compiled.state_dict()[name], value, rtol=1e-4, atol=1e-5
        )
    # The model itself is not changed, and a run goes on as it began.
    assert 'loss' not in vars(compiled)
    with pytest.raises(ValueError, match="another 'compile'"):
        run(resume=True, **folder)
    torch.compiler.reset()
