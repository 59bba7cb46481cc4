"""What may and what may not come out of a pickle."""

import contextlib
import functools
import operator
import os
import pickle
import pickletools
import struct

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from pyg_darec.io import RestrictedPickleError, load_restricted_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
DENSE = np.array([[0.0, 1.0], [2.0, 0.0], [0.0, 0.0]])


@pytest.fixture
def load(tmp_path):
    def load(content, **kwargs):
        path = tmp_path / 'file.pkl'
        path.write_bytes(content)
        return load_restricted_pickle(path, **kwargs)

    return load


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *args, state=None):
        self.reduced = (function, args, *([] if state is None else [state]))

    def __reduce__(self):
        return self.reduced


class Marker:
    """Would leave a trace if it were ever called."""

    calls: list[str] = []  # noqa: RUF012


def leave_trace(name):
    Marker.calls.append(name)


@pytest.mark.parametrize('protocol', PROTOCOLS)
@pytest.mark.parametrize('kind', ['matrix', 'array'])
@pytest.mark.parametrize('layout', ['coo', 'csr', 'csc'])
def test_sparse(load, layout, kind, protocol):
    cls = getattr(scipy.sparse, f'{layout}_{kind}')
    for matrix in (cls(DENSE), cls((4, 7))):
        out = load(pickle.dumps(matrix, protocol))
        assert type(out) is cls
        assert out.dtype == matrix.dtype
        np.testing.assert_array_equal(out.toarray(), matrix.toarray())


@pytest.mark.parametrize('layout', ['coo', 'csr', 'csc'])
@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_old_module_paths(load, layout, protocol):
    matrix = getattr(scipy.sparse, f'{layout}_matrix')(DENSE)
    content = pickle.dumps(matrix, 0 if protocol < 2 else 2)
    for new, old in (
        (
            b'scipy.sparse._' + layout.encode(),
            b'scipy.sparse.' + layout.encode(),
        ),
        (b'numpy._core', b'numpy.core'),
    ):
        assert new in content
        content = content.replace(new, old)
    np.testing.assert_array_equal(load(content).toarray(), DENSE)


@pytest.mark.parametrize('protocol', PROTOCOLS)
@pytest.mark.parametrize(
    'array',
    [
        DENSE,
        np.asfortranarray(DENSE),
        DENSE.astype(np.float16),
        np.zeros((0, 3), dtype=np.float32),
        np.arange(100_000),
        np.array(True),
        np.array(['a', 'bc']),
        np.array([b'a', b'bc']),
        np.float32(0.5),
        np.int64(-3),
    ],
    ids=repr,
)
def test_numpy(load, array, protocol):
    out = load(pickle.dumps(array, protocol))
    assert type(out) is type(array)
    assert out.dtype == array.dtype
    np.testing.assert_array_equal(out, array)


def test_array_is_writable_and_dtype_is_shared(load):
    a, b = load(pickle.dumps([DENSE, DENSE + 1]))
    a[0] = 5
    np.testing.assert_array_equal(b, DENSE + 1)


json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.integers() | st.text(), inner)
        | st.sets(st.integers())
        | st.frozensets(st.text())
    ),
    max_leaves=20,
)


@given(json_like, st.sampled_from(PROTOCOLS))
def test_containers(tmp_path_factory, value, protocol):
    path = tmp_path_factory.getbasetemp() / 'containers.pkl'
    path.write_bytes(pickle.dumps(value, protocol))
    assert load_restricted_pickle(path) == value


@given(st.data())
def test_damage_is_never_another_error(tmp_path_factory, data):
    value = {0: {'profile': 'a'}, 1: [DENSE, scipy.sparse.coo_matrix(DENSE)]}
    content = bytearray(pickle.dumps(value, data.draw(st.integers(0, 5))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / 'damaged.pkl'
    path.write_bytes(content)
    # It may still be a valid pickle of something else.
    with contextlib.suppress(RestrictedPickleError):
        load_restricted_pickle(path)


@pytest.mark.parametrize('protocol', PROTOCOLS)
@pytest.mark.parametrize(
    ('value', 'named'),
    [
        (Call(os.system, 'true'), 'system'),
        (Call(eval, '1'), 'eval'),
        (Call(getattr, np.ndarray, 'tofile'), 'getattr'),
        (Call(functools.partial, print), 'partial'),
        (Call(operator.attrgetter('a'), 1), 'attrgetter'),
        (Call(np.load, 'x'), 'load'),
        (Call(np.fromfile, 'x'), 'fromfile'),
        (Call(scipy.sparse.load_npz, 'x'), 'load_npz'),
        (Call(leave_trace, 'x'), 'leave_trace'),
        (np.array([Call(leave_trace, 'x')], dtype=object), 'object'),
        (np.array([None, 1], dtype=object), 'object'),
        (np.zeros(2, dtype=[('a', 'f4')]), 'V4'),
        (np.zeros(2, dtype='>f8'), 'byte-swapped'),
        (np.datetime64('2020-01-01'), 'datetime64|M8'),
        (scipy.sparse.lil_matrix((2, 2)), 'lil_matrix'),
        (Marker, 'Marker'),
        (range(10**12), 'range'),
    ],
    # not the address of an object, which differs from run to run
    ids=lambda value: value if isinstance(value, str) else '',
)
def test_anything_else_is_refused(load, value, named, protocol):
    for nested in (value, [0, {'a': (value, DENSE)}]):
        with pytest.raises(RestrictedPickleError, match=named):
            load(pickle.dumps(nested, protocol))
    assert Marker.calls == []


def short(text):
    return b'\x8c' + bytes([len(text)]) + text.encode()


def name(module, attribute):
    return short(module) + short(attribute) + b'\x93'


NDARRAY = name('numpy', 'ndarray')
COO = name('scipy.sparse._coo', 'coo_matrix')
RECONSTRUCT = name('numpy._core.multiarray', '_reconstruct')
DTYPE = name('numpy', 'dtype')


@pytest.mark.parametrize(
    'code',
    [
        # Dotted names, which protocol 4 looks up attribute by attribute.
        name('numpy', 'ndarray.__class__'),
        name('scipy.sparse._coo', 'coo_matrix.__init__'),
        name('numpy', 'load'),
        name('builtins', 'object.__subclasses__') + b')R',
        # Patching a class, which the unpickler of Python would do.
        COO + b'N}' + short('toarray') + NDARRAY + b's\x86b',
        RECONSTRUCT + b'}' + short('x') + b'K\x01sb',
        b'}}b',
        # Calling what may be named, with something else.
        NDARRAY + b'K\x01\x85R',
        NDARRAY + b')\x81',
        COO + b'K\x05K\x05\x86\x85\x81',
        RECONSTRUCT + COO + b'K\x01C\x01b\x87R',
        DTYPE + short('O') + b'\x85R',
        DTYPE + short('f8,O') + b'\x85R',
        name('_codecs', 'encode') + short('a') + short('rot13') + b'\x86R',
        # The extension registry, persistent ids, external buffers.
        b'\x82\x01',
        b'Pid\n',
        b'K\x01Q',
        b'\x97',
        # Protocol 0 instances.
        b'(S"true"\nios\nsystem\n',
        b'(ios\nsystem\n',
    ],
)
def test_tricks_are_refused(load, code):
    with pytest.raises(RestrictedPickleError, match=r'file\.pkl'):
        load(b'\x80\x04' + code + b'.')


def array_code(
    shape,
    dtype,
    raw,
    state=b'(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb',
):
    return (
        RECONSTRUCT
        + NDARRAY
        + b'K\x00\x85C\x01b\x87R(K\x01'
        + shape
        + DTYPE
        + short(dtype)
        + b'\x85R'
        + state
        + b'\x89'
        + raw
        + b'tb'
    )


def long(value):
    return b'\x8a\x08' + struct.pack('<q', value)


def test_hand_made_array(load):
    code = array_code(b'K\x01\x85', 'f8', b'C\x08' + struct.pack('<d', 1.5))
    assert load(b'\x80\x04' + code + b'.').tolist() == [1.5]


@pytest.mark.parametrize(
    'code',
    [
        array_code(long(10**12) + b'\x85', 'f8', b'C\x08' + bytes(8)),
        array_code(long(-1) + b'\x85', 'f8', b'C\x08' + bytes(8)),
        array_code(long(2**62) + long(4) + b'\x86', 'f8', b'C\x00'),
        array_code(long(10**12) + b'\x85', 'S0', b'C\x00'),
        array_code(b'K\x01\x85', 'f8', b']N\x85'),
        # A dtype whose fields point outside of it.
        array_code(
            b'K\x01\x85',
            'f8',
            b'C\x08' + bytes(8),
            b'(K\x03\x8c\x01|N' + short('a') + b'\x85}' + long(64)
            + b'K\x01K\x00tb',
        ),
        # Built never, or twice.
        COO + b')\x81',
        RECONSTRUCT + NDARRAY + b'K\x00\x85C\x01b\x87R',
        array_code(b'K\x01\x85', 'f8', b'C\x08' + bytes(8)) + b'Nb',
    ],
)  # fmt: skip
def test_bad_arrays_are_refused(load, code):
    with pytest.raises(RestrictedPickleError, match=r'file\.pkl'):
        load(b'\x80\x04' + code + b'.')


@pytest.mark.parametrize('layout', ['coo', 'csr', 'csc'])
@pytest.mark.parametrize('bad', [-1, 3, 2**31 - 1])
def test_indices_outside_of_the_shape(load, layout, bad):
    matrix = getattr(scipy.sparse, f'{layout}_matrix')(np.eye(3))
    (matrix.row if layout == 'coo' else matrix.indices)[1] = bad
    with pytest.raises(RestrictedPickleError, match=r'ind|outside'):
        load(pickle.dumps(matrix))


def test_index_pointer_that_runs_backwards(load):
    matrix = scipy.sparse.csr_matrix(np.eye(3))
    matrix.indptr[1] = 3
    with pytest.raises(RestrictedPickleError):
        load(pickle.dumps(matrix))


def test_vast_empty_matrix(load):
    content = pickle.dumps(scipy.sparse.coo_matrix((10**12, 10)))
    with pytest.raises(RestrictedPickleError, match='too large'):
        load(content)


def test_every_truncation(load):
    content = pickle.dumps({'a': [1, 'b', scipy.sparse.coo_matrix(DENSE)]})
    for size in range(len(content)):
        with pytest.raises(RestrictedPickleError, match='fetch it again'):
            load(content[:size])


def test_not_a_pickle(load):
    for content in (b'', b'<html>404</html>', b'\x00' * 100, b'.', b'N'):
        with pytest.raises(RestrictedPickleError, match=r'file\.pkl'):
            load(content)


def test_too_large_a_file(load):
    content = pickle.dumps(np.zeros(1000))
    load(content, max_bytes=20_000)
    with pytest.raises(RestrictedPickleError, match='max_bytes=8000'):
        load(content, max_bytes=8000)


def test_memory_bombs(load):
    size = 10**6
    text = b'X' + struct.pack('<I', size) + b'a' * size + b'\x94'
    encode = name('_codecs', 'encode') + b'\x94'
    again = b'h\x01h\x00' + short('latin1') + b'\x86R'
    bombs = [
        # One text, encoded over and over.
        text + encode + again * 1000,
        # Ten million lists in ten million bytes.
        b']' * 10**6,
        # A memo key for which the unpickler of Python takes gigabytes, and
        # a length that is only announced.
        b'B' + struct.pack('<I', 2**31 - 1) + b'a',
        b'\x96' + struct.pack('<Q', 2**40) + b'a',
    ]
    for bomb in bombs:
        with pytest.raises(RestrictedPickleError, match=r'file\.pkl'):
            load(b'\x80\x04' + bomb + b'.', max_bytes=2 * 10**7)
    far_memo = b'N' + b'r' + struct.pack('<I', 2**32 - 1) + b'.'
    assert load(b'\x80\x04' + far_memo) is None


def test_deep_nesting(load):
    depth = 100_000
    nested = load(b'\x80\x04' + b'N' + b'\x85' * depth + b'.')
    while nested is not None:
        (nested,) = nested
    key = b'}' + b'N' + b'\x85' * depth + b'Ns'
    with pytest.raises(RestrictedPickleError, match='unsupported key'):
        load(b'\x80\x04' + key + b'.')


def test_all_known_instructions_are_decided_on(load):
    """A new version of the pickle language does not slip through."""
    for opcode in pickletools.opcodes:
        with pytest.raises(RestrictedPickleError):
            load(opcode.code.encode('latin1') + b'\xff' * 3)


def test_error_is_of_both_kinds():
    assert issubclass(RestrictedPickleError, ValueError)
    assert issubclass(RestrictedPickleError, pickle.UnpicklingError)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_restricted_pickle(tmp_path / 'none.pkl')
