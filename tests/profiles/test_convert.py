import numpy as np
import pytest
import torch

from pyg_darec.profiles.convert import to_embeddings, to_unit_length

ROWS = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


@pytest.mark.parametrize(
    'value',
    [
        ROWS,
        [np.array(row) for row in ROWS],
        [torch.tensor(row) for row in ROWS],
        np.array(ROWS),
        np.array(ROWS, dtype='>f4'),
        np.array(ROWS, dtype=np.float16),
        np.array(ROWS, dtype=np.longdouble),
        np.array(ROWS[::-1])[::-1],
        np.asfortranarray(ROWS),
        torch.tensor(ROWS, requires_grad=True),
        torch.tensor(ROWS, dtype=torch.bfloat16),
    ],
    ids=str,
)
def test_what_can_be_converted(value):
    out = to_embeddings(value, 'It')
    assert out.dtype == torch.float32
    assert not out.requires_grad
    assert out.tolist() == ROWS


def test_result_shares_no_memory():
    for value in (torch.ones(2, 2), np.ones((2, 2), dtype=np.float32)):
        to_embeddings(value, 'It').zero_()
        assert value.sum() == 4


@pytest.mark.parametrize(
    'dtype', ['int64', 'bool', 'complex64', 'object', 'U3']
)
def test_wrong_dtype(dtype):
    value = np.ones((2, 2)).astype(dtype)
    match = 'It needs to hold floating-point numbers.*got dtype '
    with pytest.raises(ValueError, match=match):
        to_embeddings(value, 'It')


def test_wrong_dtype_of_tensor():
    with pytest.raises(ValueError, match=r'got dtype torch.int64\)'):
        to_embeddings(torch.ones(2, 2).long(), 'It')


@pytest.mark.parametrize('shape', [(), (3,), (2, 0), (2, 3, 4)])
@pytest.mark.parametrize('make', [np.ones, torch.ones])
def test_wrong_shape(make, shape):
    with pytest.raises(ValueError, match=r'It needs shape .*\(got \('):
        to_embeddings(make(shape), 'It')


@pytest.mark.parametrize('bad', [float('nan'), float('inf'), -float('inf')])
def test_not_finite(bad):
    value = torch.ones(4, 2)
    value[2, 1] = value[3, 0] = bad
    match = r"It holds NaN, Inf .* at row 2 \('c'\), and so in 2 of 4 rows"
    with pytest.raises(ValueError, match=rf'{match}.*\(got {bad}\)'):
        to_embeddings(value, 'It', list('abcd'))


def test_too_large_for_the_dtype():
    with pytest.raises(ValueError, match=r'float16 at row 1,.*got 70000'):
        to_embeddings(np.array([[1.0], [7e4]]), 'It', dtype=torch.float16)


@pytest.mark.parametrize(
    ('rows', 'match'),
    [
        ([[1.0, 2.0], [3.0]], r"row 1 \('b'\).*got shapes \(2,\) and \(1,\)"),
        ([[1.0, 2.0], None], r"row 1 \('b'\)"),
        ([[1.0, 2.0], [[3.0], [4.0, 5.0]]], r"row 1 \('b'\)"),
        ([torch.ones(2), torch.ones(3)], r"row 1 \('b'\)"),
        ([1.0, 2.0], r"row 0 \('a'\)"),
    ],
)
def test_ragged(rows, match):
    with pytest.raises(ValueError, match=f'It is ragged at {match}'):
        to_embeddings(rows, 'It', ['a', 'b'])


@pytest.mark.parametrize(
    'value', [None, {'a': 1}, 'text', torch.eye(2).to_sparse()]
)
def test_not_an_array(value):
    with pytest.raises(TypeError, match='It needs to be a dense tensor'):
        to_embeddings(value, 'It')


@pytest.mark.timeout(60)
def test_rows_in_rows_are_not_expanded():
    row = [0.5] * 10
    for _ in range(30):  # 10 ** 31 numbers
        row = [row] * 10
    for rows in ([row, row], [tuple(row)], [[0.5, row]], [[np.ones(2)] * 9]):
        with pytest.raises(ValueError, match='It is ragged at row 0'):
            to_embeddings(rows, 'It')


def test_rows_of_other_scalars():
    rows = [[np.float32(1), torch.tensor(2.0)], (np.array(1.0), 2.0)]
    assert to_embeddings(rows, 'It').tolist() == [[1, 2], [1, 2]]


def test_no_rows():
    with pytest.raises(ValueError, match='It needs shape'):
        to_embeddings([], 'It')


def test_masked_array():
    value = np.ma.masked_array(np.ones((2, 2)), mask=[[True, False]] * 2)
    with pytest.raises(TypeError, match=r"without a mask.*'MaskedArray'"):
        to_embeddings(value, 'x.npy')


@pytest.mark.parametrize('size', [1e-30, 1e-13, 1e-6, 1.0, 1e6, 1e20, 1e37])
def test_unit_length_of_rows_of_any_length(size):
    torch.manual_seed(0)
    x = torch.randn(4, 6, dtype=torch.float64)
    x[2] = 0
    unit = to_unit_length((size * x).float())
    expected = torch.nn.functional.normalize(x, dim=-1)
    torch.testing.assert_close(unit.double(), expected, atol=1e-6, rtol=0)
    assert to_unit_length(torch.ones(2, 4, dtype=torch.half))[0, 0] == 0.5
    assert to_unit_length(torch.ones(0, 4)).shape == (0, 4)
