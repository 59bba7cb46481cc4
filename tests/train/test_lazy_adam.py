import pytest
import torch

from pyg_darec.train.lazy_adam import LazyAdam


def run(make, grads, start=None):
    """The parameter after steps with these gradients."""
    torch.manual_seed(0)
    param = torch.nn.Parameter(torch.randn(6, 4) if start is None else start)
    optimizer = make([param], lr=0.1)
    for grad in grads:
        param.grad = grad.clone()
        optimizer.step()
    return param.detach(), optimizer


def test_equals_adam_where_all_rows_have_gradients():
    # Not close to zero, where the two add epsilon in another place.
    sign = torch.bernoulli(torch.full((5, 6, 4), 0.5)) * 2 - 1
    grads = sign * (0.1 + torch.rand(5, 6, 4))
    expected, _ = run(torch.optim.Adam, grads)
    torch.testing.assert_close(run(LazyAdam, grads)[0], expected)


def test_sparse_and_dense_gradients_are_the_same():
    grads = torch.randn(5, 6, 4)
    grads[1:, 2:5] = 0
    dense, sparse = run(LazyAdam, grads), [g.to_sparse(1) for g in grads]
    assert dense[0].equal(run(LazyAdam, sparse)[0])
    assert dense[0].equal(run(torch.optim.SparseAdam, sparse)[0])


def test_rows_without_gradient_are_left_alone():
    grads = torch.randn(3, 6, 4)
    grads[1:, 2:5] = 0
    once, _ = run(LazyAdam, grads[:1])
    param, optimizer = run(LazyAdam, grads)
    assert param[2:5].equal(once[2:5])
    # Adam goes on, as its moments do.
    moved = (run(torch.optim.Adam, grads)[0] - once)[2:5].abs().amin()
    assert moved > 0.01
    (state,) = optimizer.state.values()
    after_one = 0.1 * grads[0]
    torch.testing.assert_close(state['exp_avg'][2:5], after_one[2:5])


@pytest.mark.parametrize('grad', [torch.zeros(6, 4), None])
def test_nothing_to_do(grad):
    param = torch.nn.Parameter(torch.randn(6, 4))
    before, optimizer = param.detach().clone(), LazyAdam([param], lr=0.1)
    param.grad = grad
    optimizer.step()
    assert param.equal(before)
