import pytest
import torch

from pyg_darec import DaRecAlign
from pyg_darec.train.checkpoint import (
    Checkpoint,
    describe_model,
    fingerprint,
)
from pyg_darec.train.lazy_adam import LazyAdam
from pyg_darec.train.tensor_file import write_tensors


def adam(model):
    return torch.optim.Adam(model.parameters(), lr=0.1, fused=True)


def step(model, optimizer):
    optimizer.zero_grad()
    sum(p.square().sum() for p in model.parameters()).backward()
    optimizer.step()


def test_round_trip_continues_bit_for_bit(tmp_path, tiny):
    model, history = tiny.model(), [{'epoch': 1, 'loss': 0.1 + 0.2}]
    optimizer = adam(model)
    step(model, optimizer)
    best = {k: v.clone() for k, v in model.state_dict().items()}
    step(model, optimizer)
    path = tmp_path / 'checkpoint.safetensors'
    Checkpoint(path, {'a': (1, 2)}).save(model, [optimizer], best, history)

    other = tiny.model(seed=1)
    optimizer2 = adam(other)
    found = Checkpoint(path, {'a': (1, 2)}).load(other, [optimizer2])
    assert found[1] == history
    assert all(best[name].equal(found[0][name]) for name in best)
    for m, o in ((model, optimizer), (other, optimizer2)):
        step(m, o)
    for name, value in model.state_dict().items():
        assert value.equal(other.state_dict()[name])


def test_state_that_is_no_tensor(tmp_path, tiny):
    """'SparseAdam' counts its steps with a Python number, and 'SGD' keeps a
    'None'. The parameters are in another order than in the model.
    """

    def make(seed):
        model = tiny.model(seed=seed)
        return model, [
            LazyAdam([model.item.weight], lr=0.1),
            torch.optim.SGD([model.user.weight], lr=0.1),
        ]

    def step(model, optimizers):
        model.zero_grad()
        sum(p.square().sum() for p in model.parameters()).backward()
        for optimizer in optimizers:
            optimizer.step()

    model, optimizers = make(0)
    step(model, optimizers)
    checkpoint = Checkpoint(tmp_path / 'checkpoint.safetensors', {})
    checkpoint.save(model, optimizers, {}, [])
    other, optimizers2 = make(1)
    checkpoint.load(other, optimizers2)
    for m, o in ((model, optimizers), (other, optimizers2)):
        step(m, o)
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert a.equal(b)


def test_options_that_steps_change(tmp_path, model):
    """Those of every group; what cannot be saved stays as it was made."""

    def make():
        groups = [{'params': [p]} for p in model.parameters()]
        optimizers = [torch.optim.SGD([g], lr=0.1) for g in groups]
        for optimizer in optimizers:
            optimizer.param_groups[0] |= {
                'betas': (0.9, 0.99),
                'rate': torch.tensor(0.1),
                'rule': torch.relu,
            }
        return optimizers

    optimizers = make()
    changed = {'lr': 0.1 * 0.9, 'betas': (0.1, 2), 'dampening': None, 'k': 3}
    optimizers[1].param_groups[0] |= changed
    optimizers[1].param_groups[0]['rate'] *= 0.9
    checkpoint = Checkpoint(tmp_path / 'checkpoint.safetensors', {})
    checkpoint.save(model, optimizers, {}, [])
    others = make()
    checkpoint.load(model, others)
    for optimizer, other in zip(optimizers, others, strict=True):
        assert other.param_groups == optimizer.param_groups


def test_truncated_at_any_length(tmp_path, model):
    path = tmp_path / 'checkpoint.safetensors'
    checkpoint = Checkpoint(path, {})
    checkpoint.save(model, [adam(model)], model.state_dict(), [])
    content = path.read_bytes()
    for size in range(0, len(content), len(content) // 20):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match='is truncated'):
            checkpoint.load(model, [adam(model)])


@pytest.mark.parametrize('name', [None, 'pyg_darec.checkpoint.1'])
def test_another_file(tmp_path, model, name):
    path = tmp_path / 'checkpoint.safetensors'
    write_tensors(model.state_dict(), path, {'pyg_darec': name} if name else {})
    with pytest.raises(ValueError, match=rf'not a checkpoint .*format {name}'):
        Checkpoint(path, {}).load(model, [adam(model)])


def test_nothing_changes_if_it_does_not_fit(tmp_path, tiny):
    path, model = tmp_path / 'checkpoint.safetensors', tiny.model()
    saved = Checkpoint(path, {'lr': 0.1})
    saved.save(model, [adam(model)], model.state_dict(), [])
    other = tiny.model(seed=1)
    before = other.user.weight.clone()
    with pytest.raises(ValueError, match=r"'lr'; .*\(got 0.2, and 0.1 in"):
        Checkpoint(path, {'lr': 0.2}).load(other, [adam(other)])
    assert other.user.weight.equal(before)


def test_fingerprint(tiny):
    graph = tiny.graph()
    assert fingerprint(graph) == fingerprint(tiny.graph())
    others = [
        tiny.graph(seed=1),
        tiny.graph(val=False),
        tiny.graph(num_items=61),
    ]
    assert len({fingerprint(g) for g in [graph, *others]}) == 4


def test_description_has_no_addresses(tiny):
    class Odd(torch.nn.Module):
        def extra_repr(self):
            return f'embed={object()}, dim=3'

    assert describe_model(Odd()) == describe_model(Odd())
    assert 'dim=3' in describe_model(Odd())
    assert 'training user.weight, item.weight' in describe_model(tiny.model())


class Scaled(torch.nn.Module):
    """What a shape does not show is in what it prints."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.user = torch.nn.Embedding(4, 2)
        self.item = torch.nn.Embedding(5, 2)
        self.gain = gain

    def forward(self, data):
        return self.gain * self.user.weight, self.item.weight

    def extra_repr(self) -> str:
        return f'gain={self.gain}'


def test_description_shows_what_a_wrapped_model_prints():
    models = [DaRecAlign(Scaled(gain), 3) for gain in (1.0, 2.0)]
    assert describe_model(models[0]) != describe_model(models[1])
    assert describe_model(models[0]) == describe_model(
        DaRecAlign(Scaled(1.0), 3)
    )
