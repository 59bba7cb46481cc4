import functools

import pytest
import torch
from torch.nn import Embedding, LayerNorm, Linear

from pyg_darec.train.lazy_adam import LazyAdam
from pyg_darec.train.optimizer import describe_optimizer, make_optimizers


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = torch.nn.Sequential(Embedding(5, 4), Linear(4, 4), LayerNorm(4))
    model.temperature = torch.nn.Parameter(torch.tensor(0.2))
    return model


def names(model, optimizer, **of_group):
    known = {id(p): name for name, p in model.named_parameters()}
    return {
        known[id(p)]
        for group in optimizer.param_groups
        if of_group.items() <= group.items()
        for p in group['params']
    }


def test_adam(model):
    model[1].requires_grad_(False)
    (adam,) = make_optimizers(model, 'adam', 0.1, 0.2)
    assert type(adam) is torch.optim.Adam
    assert names(model, adam, lr=0.1, weight_decay=0.2, fused=True) == {
        '0.weight',
        '2.weight',
        '2.bias',
        'temperature',
    }


def test_adamw_decays_matrices_alone(model):
    (adamw,) = make_optimizers(model, 'adamw', 0.1, 0.2)
    assert type(adamw) is torch.optim.AdamW
    assert names(model, adamw, weight_decay=0.2) == {'0.weight', '1.weight'}
    assert len(names(model, adamw, weight_decay=0.0)) == 4
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    for param in model.parameters():
        param.grad = torch.zeros_like(param)
    adamw.step()
    for name, param in model.named_parameters():
        share = 0.98 if param.dim() == 2 else 1.0
        torch.testing.assert_close(param.detach(), share * before[name])


def test_lazy_adam_takes_tables_alone(model):
    lazy, adam = make_optimizers(model, 'lazy_adam', 0.1, 0.0)
    assert isinstance(lazy, LazyAdam)
    assert names(model, lazy) == {'0.weight'}
    assert len(names(model, adam, fused=True)) == 5
    assert len(make_optimizers(model[0], 'lazy_adam', 0.1, 0.0)) == 1
    assert len(make_optimizers(model[1], 'lazy_adam', 0.1, 0.0)) == 1


def test_callable(model):
    momentum = functools.partial(torch.optim.SGD, momentum=0.9)
    (sgd,) = make_optimizers(model, momentum, 0.1, 0.0)
    assert len(names(model, sgd, lr=0.1, momentum=0.9, weight_decay=0)) == 6
    # Without a choice, an optimizer keeps its own default.
    (adamw,) = make_optimizers(model, torch.optim.AdamW, 0.1, 0.0)
    assert adamw.defaults['weight_decay'] == 0.01
    (adamw,) = make_optimizers(model, torch.optim.AdamW, 0.1, 0.5)
    assert adamw.defaults['weight_decay'] == 0.5


def test_description_tells_callables_apart(model):
    def describe(optimizer, lr=0.1):
        made = make_optimizers(model, optimizer, lr, 0.0)
        return describe_optimizer(optimizer, made)

    assert describe('adamw') == 'adamw'
    sgd = torch.optim.SGD
    assert describe(sgd) == describe(lambda params, lr: sgd(params, lr))
    others = describe(functools.partial(sgd, momentum=0.9)), describe(sgd, 1.0)
    assert describe(sgd) not in others


def test_bad_arguments(model):
    def fails(match, model=model, optimizer='adam', error=ValueError, decay=0):
        with pytest.raises(error, match=match):
            make_optimizers(model, optimizer, 0.1, decay)

    fails(r"'optimizer' .*\(got 'adma'\)", optimizer='adma')
    fails(r"'lazy_adam' .*\(got 0.1\)", optimizer='lazy_adam', decay=0.1)
    fails(
        "'optimizer' needs to return",
        optimizer=lambda params, lr: None,
        error=TypeError,
    )
    fails(
        'the class and no instance .*Adam',
        optimizer=torch.optim.Adam(model.parameters()),
    )
    fails('LBFGS evaluates', optimizer=torch.optim.LBFGS)
    sparse = Embedding(3, 2, sparse=True)
    for name in ('adam', 'adamw'):
        fails("pass optimizer='lazy_adam'", sparse, name)
    fails("'Embedding' has no parameters", sparse.requires_grad_(False))
