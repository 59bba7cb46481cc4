import random
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_darec.train import fit

QUIET = {'device': 'cpu', 'progress': False}


def weights(model):
    return {k: v.clone() for k, v in model.state_dict().items()}


def equal(a, b):
    return a.keys() == b.keys() and all(a[k].equal(b[k]) for k in a)


def test_learns(model, graph):
    result = fit(model, graph, epochs=30, batch_size=64, lr=0.01, **QUIET)
    recall = [row['Recall@20'] for row in result.evaluations]
    assert recall[0] < 0.6 < result.best_metrics['Recall@20']
    assert result.best_metrics['Recall@20'] == max(recall)
    assert result.history[-1]['loss'] < 0.6 < result.history[0]['loss']
    row = result.history[0]
    assert row['loss'] == pytest.approx(row['bpr'] + row['reg'])


def test_takes_hetero_data(tiny):
    graph = tiny.graph()
    data = HeteroData()
    data['user'].num_nodes = graph.num_users
    data['item'].num_nodes = graph.num_items
    store = data['user', 'rates', 'item']
    store.edge_index = graph.edge_index
    store.val_edge_label_index = graph.edge_label_index['val']
    a, b = tiny.model(), tiny.model()
    fit(a, data, epochs=3, **QUIET)
    fit(b, graph, epochs=3, **QUIET)
    assert equal(weights(a), weights(b))


def test_takes_a_model_without_a_loss(graph, tiny):
    class Embeddings(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.mf = tiny.model()

        def forward(self, data):
            return self.mf(data)

    model = Embeddings()
    before = weights(model)
    result = fit(model, graph, epochs=2, **QUIET)
    assert 'bpr' in result.history[0]
    assert not equal(before, weights(model))


def test_same_seed_same_weights(graph, tiny):
    models, histories = [tiny.model() for _ in range(3)], []
    for model, seed in zip(models, (7, np.int64(7), 8), strict=True):
        torch.rand(5)  # whatever the caller has drawn before
        result = fit(model, graph, epochs=5, seed=seed, **QUIET)
        histories.append(tiny.without_time(result.history))
    assert equal(weights(models[0]), weights(models[1]))
    assert histories[0] == histories[1] != histories[2]


@pytest.mark.parametrize('off', [torch.no_grad, torch.inference_mode])
def test_trains_where_gradients_are_off(graph, tiny, off):
    a, b = tiny.model(), tiny.model()
    expected = fit(a, graph, epochs=2, **QUIET)
    with off():
        result = fit(b, graph, epochs=2, **QUIET)
        assert not torch.is_grad_enabled()
    assert equal(weights(a), weights(b))
    assert result.best_metrics == expected.best_metrics
    assert not any(value.is_inference() for value in b.state_dict().values())


def test_global_random_state_is_untouched(model, graph):
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    fit(model, graph, epochs=2, **QUIET)
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1][1].tolist()  # noqa: NPY002
    assert torch.get_rng_state().equal(states[2])


def test_restores_best_weights(graph, tiny):
    def run(epochs):
        model = tiny.model()

        def ruin(graph, epoch, step):
            if (epoch, step) == (5, 0):
                model.user.weight.data.neg_()

        model.renew = ruin
        kwargs = {'eval_every': 2, 'batch_size': 64, 'lr': 0.01, **QUIET}
        return model, fit(model, graph, epochs, patience=None, **kwargs)

    model, result = run(7)
    # The last epoch is evaluated whether or not it is its turn.
    assert [row['epoch'] for row in result.evaluations] == [2, 4, 6, 7]
    assert result.best_epoch == 4
    assert len(result.history) == 7
    assert equal(weights(model), weights(run(4)[0]))
    assert not model.training


def test_stops_early(graph, tiny):
    def run(min_steps):
        kwargs = {'patience': 3, 'min_steps': min_steps, **QUIET}
        model = tiny.model(dropout=0.0)
        return fit(model, graph, 200, 64, 0.05, eval_every=1, **kwargs)

    result = run(0)
    stop = len(result.history)
    assert stop < 150
    assert stop == result.best_epoch + 3
    assert result.num_stale == 3
    per_epoch = -(-graph.num_edges // 64)
    assert len(run(stop * per_epoch).history) == stop
    assert len(run(stop * per_epoch + 1).history) == stop + 1
    # Never between two evaluations, as what follows one is not saved.
    kwargs = {'patience': 1, 'min_steps': 10, 'eval_every': 3, **QUIET}
    last = fit(tiny.model(), graph, 100, 10**6, 1e-12, **kwargs)
    assert len(last.history) == 12
    # Nothing but the length differs.
    longer = run(150 * per_epoch)
    assert len(longer.history) >= 150
    losses = [[row['loss'] for row in r.history] for r in (result, longer)]
    assert losses[0] == losses[1][:stop]


def test_without_validation(tiny):
    model = tiny.model()
    result = fit(model, tiny.graph(val=False), 7, patience=1, **QUIET)
    assert len(result.history) == result.best_epoch == 7
    assert result.monitor is None
    assert result.best_metrics == {}
    assert 'Recall@20' not in result.history[-1]


def test_tiny_catalogue_and_other_monitor(tiny):
    graph, model = tiny.graph(12, 10), tiny.model(num_users=12, num_items=10)
    assert 'Recall@5' in fit(model, graph, 3, **QUIET).best_metrics
    result = fit(model, graph, 3, monitor='NDCG@3', **QUIET)
    assert result.monitor == 'NDCG@3'
    assert 'NDCG@3' in result.best_metrics


def test_renew_is_called_before_every_step(graph, tiny):
    model, calls = tiny.model(), []
    model.renew = lambda *args: calls.append(args)
    fit(model, graph, epochs=2, batch_size=200, **QUIET)
    num_steps = -(-graph.num_edges // 200)
    expected = [(e, s) for e in (1, 2) for s in range(num_steps)]
    assert [call[1:] for call in calls] == expected
    assert calls[0][0] is graph


def test_term_that_starts_later(graph, tiny):
    model = tiny.model()
    loss, count = model.loss, [0]

    class Late(type(model)):
        def loss(self, data, batch):
            value, terms = loss(data, batch)
            count[0] += 1
            if count[0] % 2 == 0:
                terms['late'] = torch.ones(())
            return value, terms

    model.__class__ = Late
    result = fit(model, graph, 1, batch_size=graph.num_edges // 2, **QUIET)
    share = graph.num_edges // 2 / graph.num_edges
    assert result.history[0]['late'] == pytest.approx(share, abs=0.01)


def test_frozen_parameters_stay(graph, model):
    model.item.weight.requires_grad_(False)
    before = weights(model)
    fit(model, graph, epochs=2, **QUIET)
    assert model.item.weight.equal(before['item.weight'])
    assert not model.user.weight.equal(before['user.weight'])


def test_double_precision(graph, model):
    fit(model, graph, epochs=2, precision='64-true', **QUIET)
    assert model.user.weight.dtype == torch.double


def test_mixed_precision_reaches_the_loss(graph, tiny):
    seen = []

    class Head(type(tiny.model())):
        def loss(self, data, batch):
            out = self.user.weight @ self.user.weight.t()
            seen.append(out.dtype)
            return super().loss(data, batch)

    model = tiny.model()
    model.__class__ = Head
    fit(model, graph, epochs=1, precision='bf16-mixed', **QUIET)
    assert set(seen) == {torch.bfloat16}


def test_fused_and_decoupled_adam_are_adam(graph, tiny):
    """Without weight decay, and but for rounding."""

    def run(**kwargs):
        model = tiny.model()
        fit(model, graph, epochs=3, batch_size=64, **kwargs, **QUIET)
        return weights(model)

    expected = run()
    for optimizer in ('adamw', torch.optim.Adam):
        torch.testing.assert_close(run(optimizer=optimizer), expected)
    assert not equal(run(optimizer=torch.optim.SGD), expected)


def test_sparse_gradients(tmp_path, graph, tiny):
    """They are those of a dense table, and can be taken up again."""

    class Sparse(type(tiny.model())):
        def loss(self, data, batch):
            user, pos, neg = batch
            score = self.user(user) * (self.item(pos) - self.item(neg))
            return -torch.nn.functional.logsigmoid(score.sum(-1)).sum(), {}

    def run(epochs, sparse=True, **kwargs):
        model = tiny.model()
        model.__class__ = Sparse
        model.user.sparse = model.item.sparse = sparse
        kwargs = {'optimizer': 'lazy_adam', **kwargs, **QUIET}
        fit(model, graph, epochs, batch_size=16, eval_every=1, **kwargs)
        return weights(model)

    expected = run(4)
    torch.testing.assert_close(run(4, sparse=False), expected)
    run(2, run_dir=tmp_path)
    assert equal(run(4, run_dir=tmp_path, resume=True), expected)
    # PyTorch's own is the same thing, but by another name.
    own = torch.optim.SparseAdam
    torch.testing.assert_close(run(4, optimizer=own), expected)
    with pytest.raises(ValueError, match="another 'optimizer'"):
        run(4, run_dir=tmp_path, resume=True, optimizer=own)
    with pytest.raises(ValueError, match="pass optimizer='lazy_adam'"):
        run(4, optimizer='adam')


def test_lazy_adam_is_adam_where_every_row_has_a_gradient(graph, tiny):
    def run(optimizer):
        model = tiny.model(dropout=0.0)
        kwargs = {'batch_size': graph.num_edges, 'lr': 0.01, **QUIET}
        result = fit(model, graph, 10, optimizer=optimizer, **kwargs)
        return [row['loss'] for row in result.history]

    # They add epsilon in another place.
    assert run('lazy_adam') == pytest.approx(run('adam'), rel=1e-4)


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        ({'epochs': 0}, r"'epochs' .* \(got 0\)"),
        ({'epochs': 2.5}, r"'epochs' .* integer \(got 2.5\)"),
        ({'eval_every': 0}, r"'eval_every' .* \(got 0\)"),
        ({'patience': 0}, r"'patience' .* \(got 0\)"),
        ({'min_steps': -1}, r"'min_steps' .* \(got -1\)"),
        ({'min_steps': None}, r"'min_steps' .* \(got None\)"),
        ({'batch_size': 0}, r"'batch_size' .* \(got 0\)"),
        ({'devices': 0}, r"'devices' .* \(got 0\)"),
        ({'lr': 0.0}, r"'lr' .* \(got 0.0\)"),
        ({'lr': float('nan')}, r"'lr' .* \(got nan\)"),
        ({'seed': -1}, "'seed' needs"),
        ({'resume': True}, "pass 'run_dir'"),
        ({'monitor': 'Recall'}, r"'monitor' .* \(got 'Recall'\)"),
        ({'monitor': 'Recal@20'}, "'monitor' needs to be one of"),
        ({'monitor': 'Recall@61'}, 'at most 60'),
        ({'precision': 'huge'}, 'huge'),
        ({'optimizer': 'adagrad'}, r"'optimizer' .* \(got 'adagrad'\)"),
    ],
)
def test_bad_arguments(model, graph, kwargs, match):
    before = weights(model)
    with pytest.raises(ValueError, match=match):
        fit(model, graph, **{**QUIET, **kwargs})
    assert equal(before, weights(model))


def test_nothing_to_train(graph, model):
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="'BPR' has no parameters to train"):
        fit(model, graph, **QUIET)


def test_loss_stops_being_finite(tmp_path, graph, tiny):
    class Broken(type(tiny.model())):
        broken = False

        def renew(self, graph, epoch, step):
            self.broken = (epoch, step) >= (3, 1)

        def loss(self, data, batch):
            loss, terms = super().loss(data, batch)
            if self.broken:
                loss, terms['reg'] = loss * torch.nan, terms['reg'] / 0
            return loss, terms

    model, good = tiny.model(), tiny.model()
    model.__class__ = Broken
    kwargs = {'batch_size': 64, 'eval_every': 1, **QUIET}
    match = r"\['loss', 'reg'\] stopped being finite in epoch 3, step 1"
    with pytest.raises(FloatingPointError, match=match):
        fit(model, graph, epochs=5, run_dir=tmp_path / 'a', **kwargs)
    # The checkpoint of epoch 2 is as good as any.
    result = fit(
        tiny.model(), graph, 2, run_dir=tmp_path / 'b', **kwargs
    ).history
    model = tiny.model()
    model.__class__ = Broken
    kwargs |= {'run_dir': tmp_path / 'a', 'resume': True}
    again = fit(model, graph, epochs=2, **kwargs)
    assert tiny.without_time(again.history) == tiny.without_time(result)
    fit(good, graph, epochs=2, batch_size=64, eval_every=1, **QUIET)
    assert equal(weights(model), weights(good))


def test_weights_stop_being_finite(tmp_path, graph, tiny):
    """The root has an infinite slope at zero: the loss is finite, the
    weights that it leads to are not.
    """

    class Root(type(tiny.model())):
        def loss(self, data, batch):
            loss = (self.user.weight.sum() * 0).sqrt()
            return loss, {}

    model = tiny.model()
    model.__class__ = Root
    with pytest.raises(FloatingPointError, match=r"'user.weight' stopped"):
        fit(model, graph, epochs=1, run_dir=tmp_path, **QUIET)
    assert not (tmp_path / 'checkpoint.safetensors').exists()


def test_two_processes_share_each_batch(tmp_path, tiny):
    """With equal shares, the mean of two gradients is the gradient. The
    second model has parameters without one, others in each of two stages.
    """
    script = f"""
        import runpy, sys, torch
        tiny = runpy.run_path({str(Path(__file__).parent / 'conftest.py')!r})
        from pyg_darec.nn.align import CTRLAlign
        from pyg_darec.train import fit
        if __name__ == '__main__':
            torch.set_num_threads(1)
            graph, model = tiny['make_graph'](), tiny['make_model'](dropout=0.0)
            kwargs = dict(device='cpu', devices=2, progress=False)
            fit(
                model, graph, epochs=3, batch_size=50,
                run_dir={str(tmp_path / 'run')!r}, **kwargs,
            )
            graph.llm_x = dict(user=torch.eye(40, 5), item=torch.eye(60, 5))
            fit(CTRLAlign(model, 5, warm_up=1), graph, epochs=3, **kwargs)
    """
    path = tmp_path / 'train.py'
    path.write_text(textwrap.dedent(script))
    subprocess.run([sys.executable, str(path)], check=True, timeout=240)

    from pyg_darec.train import load_model

    graph, model = tiny.graph(), tiny.model(dropout=0.0)
    # The two leave the odd interaction out of an epoch.
    assert graph.num_edges % 2 == 0
    fit(model, graph, epochs=3, batch_size=50, **QUIET)
    other = load_model(tiny.model(), tmp_path / 'run' / 'model.safetensors')
    for name, value in weights(model).items():
        torch.testing.assert_close(other.state_dict()[name], value)


def test_validation_on_training_interactions_is_told_first(tiny):
    graph = tiny.graph()
    graph.edge_label_index['val'] = graph.edge_index[:, :5]
    with pytest.raises(ValueError, match="'val' has no interaction"):
        fit(interrupted(tiny.model()), graph, 3, **QUIET)


def interrupted(model):
    def renew(graph, epoch, step):
        raise AssertionError

    model.renew = renew
    return model


def test_numbers_of_numpy(tmp_path, graph, tiny):
    kwargs = {'batch_size': np.int64(64), 'eval_every': np.int64(1), **QUIET}
    kwargs |= {'lr': np.float32(0.01), 'weight_decay': np.float64(0)}
    a, b = tiny.model(), tiny.model()
    fit(a, graph, 2, run_dir=tmp_path, **kwargs)
    lr = float(np.float32(0.01))
    fit(b, graph, 2, batch_size=64, eval_every=1, lr=lr, **QUIET)
    assert equal(weights(a), weights(b))


@pytest.mark.parametrize('has_validation', [True, False])
def test_interrupted_from_the_keyboard(graph, tiny, has_validation):
    """The model is as good as it was by then."""
    model = tiny.model()
    if not has_validation:
        graph.edge_label_index.pop('val')
    seen = []

    def interrupt(graph, epoch, step):
        if epoch == 6 and step == 0:
            seen.append(weights(model))
            raise KeyboardInterrupt

    model.renew = interrupt
    with pytest.raises(KeyboardInterrupt):
        fit(model, graph, 9, eval_every=2, lr=0.05, batch_size=50, **QUIET)
    assert not model.training
    expected = seen[0]
    if has_validation:
        other = tiny.model()
        fit(other, graph, 4, eval_every=2, lr=0.05, batch_size=50, **QUIET)
        expected = weights(other)
        assert not equal(expected, seen[0])
    assert equal(weights(model), expected)
