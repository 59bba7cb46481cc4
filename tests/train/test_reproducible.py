import random
from contextlib import suppress

import numpy as np
import torch
import torch.utils.deterministic

from pyg_darec.train.reproducible import reproducible, seed_all

CPU = torch.device('cpu')


def draw():
    return random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002


def test_seeds_every_generator():
    with reproducible(CPU):
        draws = []
        for entropy in ((0, 1), (0, 1), (0, 2)):
            seed_all(CPU, *entropy)
            draws.append(draw())
    assert draws[0] == draws[1]
    assert all(a != b for a, b in zip(draws[0], draws[2], strict=True))


def test_gives_the_state_back_even_after_an_error():
    with reproducible(CPU):
        expected = draw()
    with suppress(KeyError), reproducible(CPU):
        seed_all(CPU, 1)
        raise KeyError
    assert draw() == expected


def test_gradients_of_indexing_do_not_depend_on_threads():
    x = torch.zeros(20, 32, requires_grad=True)
    index, weight = torch.randint(20, (5000,)), torch.randn(5000, 32)
    torch.set_num_threads(4)
    grads = []
    with reproducible(CPU):
        for _ in range(20):
            grads += torch.autograd.grad((x[index] * weight).sum(), x)
    assert all(grad.equal(grads[0]) for grad in grads)


def test_leaves_the_algorithms_of_the_caller():
    def choice():
        return (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.utils.deterministic.fill_uninitialized_memory,
        )

    assert choice() == (False, False, True)
    with reproducible(CPU):
        assert choice() == (True, True, False)
    assert choice() == (False, False, True)
    torch.use_deterministic_algorithms(True)
    try:
        with reproducible(CPU):
            assert choice() == (True, False, True)
        assert choice() == (True, False, True)
    finally:
        torch.use_deterministic_algorithms(False)
