"""Runs that are interrupted: the whole of 'fit' with its checkpoints."""

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

import pytest
import torch
from conformance.graphs import METADATA, random_data
from conformance.kills import KILLS
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from torch_geometric.nn import GraphSAGE, Linear, to_hetero

from pyg_darec.io.lock import lock_folder
from pyg_darec.nn.align import DaRecAlign
from pyg_darec.nn.models import LightGCN
from pyg_darec.train import fit, load_model
from pyg_darec.train.tensor_file import read_tensors, write_tensors

fit_module = import_module('pyg_darec.train.fit')  # not the function

KWARGS = {
    'batch_size': 64,
    'lr': 0.01,
    'eval_every': 2,
    'device': 'cpu',
    'progress': False,
}


class Interrupted(Exception):
    pass


def interrupt(model, at):
    def renew(graph, epoch, step):
        if (epoch, step) == at:
            raise Interrupted

    model.renew = renew
    return model


def assert_same(a, b):
    for name, value in a.state_dict().items():
        assert value.equal(b.state_dict()[name]), name


@pytest.mark.parametrize('at', [(1, 0), (3, 2), (4, 3), (9, 0)])
def test_equals_uninterrupted_run(tmp_path, graph, tiny, at):
    whole = tiny.model()
    expected = fit(whole, graph, 9, **KWARGS)

    with pytest.raises(Interrupted):
        fit(interrupt(tiny.model(), at), graph, 9, run_dir=tmp_path, **KWARGS)
    torch.rand(3)  # another process, another random state
    model = tiny.model()
    kwargs = {'run_dir': tmp_path, 'resume': True, **KWARGS}
    result = fit(model, graph, 9, **kwargs)
    assert_same(model, whole)
    assert tiny.without_time(result.history) == tiny.without_time(
        expected.history
    )
    assert result.best_epoch == expected.best_epoch
    assert_same(load_model(tiny.model(), tmp_path / 'model.safetensors'), whole)


def test_optimizer_with_a_schedule_of_its_own(tmp_path, tiny):
    class Decaying(torch.optim.SGD):
        def step(self, closure=None):
            super().step(closure)
            for group in self.param_groups:
                group['lr'] *= 0.9

    kwargs = {'optimizer': Decaying, **KWARGS}
    # The last weights are kept, not the best ones.
    graph, whole, model = tiny.graph(val=False), tiny.model(), tiny.model()
    fit(whole, graph, 4, **kwargs)
    fit(tiny.model(), graph, 2, run_dir=tmp_path, **kwargs)
    fit(model, graph, 4, run_dir=tmp_path, resume=True, **kwargs)
    assert_same(model, whole)


def test_finished_run_returns_at_once(tmp_path, graph, tiny):
    model = tiny.model()
    result = fit(model, graph, 6, run_dir=tmp_path, **KWARGS)
    again = interrupt(tiny.model(seed=1), (7, 0))
    kwargs = {'run_dir': tmp_path, 'resume': True, **KWARGS}
    assert fit(again, graph, 6, **kwargs) == result
    assert_same(again, model)
    # More epochs take it up again, and it is as if there had been no stop.
    longer, whole = tiny.model(), tiny.model()
    assert len(fit(longer, graph, 10, **kwargs).history) == 10
    fit(whole, graph, 10, **KWARGS)
    assert_same(longer, whole)


def test_early_stop_is_remembered(tmp_path, graph, tiny):
    kwargs = {**KWARGS, 'run_dir': tmp_path, 'lr': 0.1, 'min_steps': 0}
    result = fit(tiny.model(), graph, 100, patience=2, **kwargs)
    assert len(result.history) < 100
    kwargs['resume'] = True
    again = fit(tiny.model(), graph, 100, patience=2, **kwargs)
    assert again == result
    longer = fit(tiny.model(), graph, 100, patience=3, **kwargs)
    assert len(longer.history) > len(result.history)


def test_resume_without_checkpoint_starts(tmp_path, graph, tiny):
    a, b = tiny.model(), tiny.model()
    folder = tmp_path / 'new' / 'run'
    fit(a, graph, 2, run_dir=folder, resume=True, **KWARGS)
    fit(b, graph, 2, **KWARGS)
    assert_same(a, b)


def test_refuses_to_overwrite(tmp_path, graph, tiny):
    fit(tiny.model(), graph, 2, run_dir=tmp_path, **KWARGS)
    before = (tmp_path / 'checkpoint.safetensors').read_bytes()
    with pytest.raises(ValueError, match="pass 'resume=True'"):
        fit(tiny.model(), graph, 2, run_dir=tmp_path, **KWARGS)
    assert (tmp_path / 'checkpoint.safetensors').read_bytes() == before


def test_other_model_data_or_settings(tmp_path, graph, tiny):
    fit(tiny.model(), graph, 2, run_dir=tmp_path, **KWARGS)
    before = (tmp_path / 'checkpoint.safetensors').read_bytes()

    def resume(match, model=None, data=graph, **kwargs):
        kwargs = {**KWARGS, **kwargs, 'run_dir': tmp_path, 'resume': True}
        with pytest.raises(ValueError, match=match):
            fit(model or tiny.model(), data, 4, **kwargs)

    resume("'user.weight' has shape .*8.* and .*9", tiny.model(dim=9))
    extra = tiny.model()
    extra.scale = torch.nn.Linear(2, 2)
    resume("'scale.weight' is missing", extra)
    # Same shapes, another constructor argument.
    resume("another 'model'", tiny.model(dropout=0.5))
    frozen = tiny.model()
    frozen.item.requires_grad_(False)
    resume("another 'model'", frozen)
    resume("another 'model'", tiny.model().double())
    resume("another 'data'", data=graph.with_weight(2 * graph.weight))
    resume("another 'data'", data=tiny.graph(seed=1))
    resume("another 'data'", data=tiny.graph(val=False))
    resume(r"'lr'.*\(got 0.5, and 0.01 in", lr=0.5)
    resume(r"'batch_size'.*\(got 32, and 64 in", batch_size=32)
    resume(r"'seed'.*\(got 3, and 0 in", seed=3)
    resume(r"'eval_every'.*\(got 1, and 2 in", eval_every=1)
    resume("'weight_decay'", weight_decay=0.1)
    resume("'monitor'", monitor='NDCG@10')
    assert (tmp_path / 'checkpoint.safetensors').read_bytes() == before


def test_options_that_a_model_does_not_print(tmp_path, graph):
    def start(text=1.0, dropout=0.2, **kwargs):
        torch.manual_seed(0)
        graph.llm_x = {
            'user': torch.full((graph.num_users, 3), text),
            'item': torch.full((graph.num_items, 3), 1.0),
        }
        backbone = LightGCN.from_data(graph, 4, edge_dropout=dropout)
        kwargs = {'preset': 'paper', 'loc_weight': 0.0, **kwargs}
        model = DaRecAlign(backbone, 3, **kwargs)
        fit(model, graph, 2, run_dir=tmp_path, resume=True, **KWARGS)

    start()
    start()
    for kwargs in ({'uni_weight': 0.0}, {'dropout': 0.5}, {'score': 'both'}):
        with pytest.raises(ValueError, match="another 'model'"):
            start(**kwargs)
    with pytest.raises(ValueError, match="another 'data'"):
        start(text=2.0)


def test_lazy_model(tmp_path, graph, tiny):
    class Lazy(type(tiny.model())):
        def loss(self, data, batch):
            user, pos, neg = batch
            loss = -(self.user(user) * self.item(pos)).sum(-1).mean()
            loss = loss + self.item(neg).square().mean()
            return loss + self.head(self.user.weight).square().mean(), {}

    def make():
        model = tiny.model()
        model.__class__ = Lazy
        model.head = Linear(-1, 3)
        return model

    whole = make()
    fit(whole, graph, 6, **KWARGS)
    with pytest.raises(Interrupted):
        fit(interrupt(make(), (3, 1)), graph, 6, run_dir=tmp_path, **KWARGS)
    model = make()
    fit(model, graph, 6, run_dir=tmp_path, resume=True, **KWARGS)
    assert_same(model, whole)


def test_full_disk(tmp_path, graph, tiny, monkeypatch):
    resource = pytest.importorskip('resource')
    whole = tiny.model()
    fit(whole, graph, 6, **KWARGS)
    kwargs = {'run_dir': tmp_path, 'resume': True, **KWARGS}
    fit(tiny.model(), graph, 2, **kwargs)
    checkpoint = tmp_path / 'checkpoint.safetensors'
    before = checkpoint.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        # No file may grow larger, as if the disk were full at that point.
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
        with pytest.raises(OSError, match='could not be written'):
            fit(tiny.model(), graph, 6, **kwargs)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert checkpoint.read_bytes() == before
    assert not list(tmp_path.glob('.*tmp*'))
    # With space again, the run goes on as if nothing had happened.
    model = tiny.model()
    fit(model, graph, 6, **kwargs)
    assert_same(model, whole)


def test_leftovers_of_a_kill_are_removed(tmp_path, graph, tiny):
    leftover = tmp_path / '.checkpoint.safetensors.0123.tmp.safetensors'
    leftover.write_bytes(b'half a checkpo')
    fit(tiny.model(), graph, 2, run_dir=tmp_path, resume=True, **KWARGS)
    assert not leftover.exists()


# One process imports everything and then forks runs, each to be killed.
KILLER = """
import os, random, runpy, signal, sys, time
tiny = runpy.run_path(sys.argv[1])
folder, kills = sys.argv[2], int(sys.argv[3])
import torch
import torch.utils.tensorboard
from pyg_darec.train import fit
from pyg_darec.train.tensor_file import read_tensors, write_tensors

def run(path):
    torch.set_num_threads(1)
    fit(
        tiny['make_model'](num_users=400, num_items=600),
        tiny['make_graph'](400, 600), epochs=4 * kills, batch_size=8192,
        lr=0.003, eval_every=1, patience=None, device='cpu',
        run_dir=path, resume=True, progress=False,
    )

def start(path):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            run(path)
            status = 0
        finally:
            os._exit(status)
    return pid

def finish(path):
    _, status = os.waitpid(start(path), 0)
    assert status == 0, status

def modified(path):
    try:
        return os.stat(path).st_mtime_ns
    except FileNotFoundError:
        return 0

finish(folder + '/whole')
random.seed(0)
path, killed = folder + '/killed', 0
checkpoint = path + '/checkpoint.safetensors'
for _ in range(kills):
    pid, left, last = start(path), random.randint(0, 4), modified(checkpoint)
    # After a few checkpoints and a random part of the next epoch.
    ended = 0
    while left > 0 and not ended:
        if modified(checkpoint) != last:
            last, left = modified(checkpoint), left - 1
        ended, status = os.waitpid(pid, os.WNOHANG)
    if not ended:
        time.sleep(random.uniform(0, 0.03))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    killed += os.WIFSIGNALED(status)
    if last:
        read_tensors(checkpoint)
finish(path)
print(killed)
"""


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork and SIGKILL')
@pytest.mark.timeout(60 + 15 * KILLS)
def test_killed_at_random_moments(tmp_path, tiny):
    conftest = Path(__file__).parent / 'conftest.py'
    out = subprocess.run(
        [
            sys.executable,
            '-c',
            KILLER,
            str(conftest),
            str(tmp_path),
            str(KILLS),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(out.stdout) > KILLS // 2
    for name in ('model', 'checkpoint'):
        expected, whole = read_tensors(tmp_path / f'whole/{name}.safetensors')
        tensors, killed = read_tensors(tmp_path / f'killed/{name}.safetensors')
        assert expected.keys() == tensors.keys()
        for key, value in expected.items():
            assert value.equal(tensors[key]), key
    histories = [
        tiny.without_time(json.loads(metadata['run'])['history'])
        for metadata in (whole, killed)
    ]
    assert len(histories[0]) == 4 * KILLS
    assert histories[0] == histories[1]


class Scaled(MixedPrecision):
    """The scaler of half precision, which otherwise needs a GPU."""

    def __init__(self):
        scaler = torch.amp.GradScaler('cpu', growth_interval=5)
        super().__init__('16-mixed', 'cpu', scaler)

    def forward_context(self):
        return nullcontext()


def test_scale_of_gradients(tmp_path, graph, tiny, monkeypatch):
    """A checkpoint of a time when it was not saved starts it anew."""
    made = []

    def make_fabric(*args):
        made.append(Scaled())
        return Fabric(accelerator='cpu', plugins=made[-1])

    def states(epochs, old=False):
        if old:
            path = tmp_path / 'checkpoint.safetensors'
            tensors, metadata = read_tensors(path)
            run = json.loads(metadata['run'])
            assert run.pop('scaler')
            write_tensors(tensors, path, {**metadata, 'run': json.dumps(run)})
        kwargs = {'run_dir': tmp_path, 'resume': True, **KWARGS}
        fit(tiny.model(), graph, epochs, patience=None, **kwargs)
        return made[-1].scaler.state_dict()

    monkeypatch.setattr(fit_module, 'make_fabric', make_fabric)
    fit(tiny.model(), graph, 4, **KWARGS)
    whole, start = made[-1].scaler.state_dict(), Scaled().scaler.state_dict()
    assert whole['scale'] > 2 * start['scale']
    states(2)
    assert states(4) == whole
    assert states(4, old=True) == start


def test_other_features(tmp_path):
    data = random_data()
    for kind in ('user', 'item'):
        data[kind].x = torch.randn(data[kind].num_nodes, 4)

    def run(epochs):
        torch.manual_seed(0)
        sage = to_hetero(GraphSAGE((-1, -1), 8, 1), METADATA)
        return fit(sage, data, epochs, run_dir=tmp_path, resume=True, **KWARGS)

    run(2)
    run(4)
    data['user'].x = torch.randn(data['user'].num_nodes, 4)
    with pytest.raises(ValueError, match="another 'data'"):
        run(6)


def test_a_refused_process_touches_nothing(tmp_path, graph, tiny):
    with lock_folder(tmp_path):
        part = tmp_path / '.checkpoint.tmp.safetensors'
        part.touch()
        with pytest.raises(RuntimeError, match='by another process'):
            fit(tiny.model(), graph, 2, run_dir=tmp_path, **KWARGS)
        assert part.exists()
    fit(tiny.model(), graph, 2, run_dir=tmp_path, **KWARGS)
    assert not part.exists()
