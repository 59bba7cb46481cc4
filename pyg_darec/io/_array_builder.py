"""The few objects that a restricted pickle may build."""

import math
import sys
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse


class Forbidden(Exception):
    """A pickle asks for something that is not data."""


class _Global(NamedTuple):
    """A name in a pickle, standing for what it means here: pickles never
    get hold of a real class or function, which they could change.
    """

    name: str
    kind: str


# What the names of a pickle mean here, old module paths included.
_NAMES = {
    'numpy ndarray': 'ndarray',
    'numpy dtype': 'dtype',
    **{
        f'numpy.{core}.{name}': kind
        for core in ('core', '_core')
        for name, kind in (
            ('multiarray _reconstruct', 'reconstruct'),
            ('multiarray scalar', 'scalar'),
            ('numeric _frombuffer', 'frombuffer'),
        )
    },
    # Protocols 0 to 2 have no bytes, and make objects with function calls.
    '_codecs encode': 'encode',
    **{
        f'{builtins} {name}': name
        for builtins in ('__builtin__', 'builtins')
        for name in ('bytes', 'frozenset', 'object', 'set')
    },
    'copy_reg _reconstructor': 'reconstructor',
    'copyreg _reconstructor': 'reconstructor',
    **{
        f'scipy.sparse.{underscore}{layout} {layout}_{kind}': f'{layout}_{kind}'
        for underscore in ('', '_')
        for layout in ('coo', 'csr', 'csc')
        for kind in ('matrix', 'array')
    },
}
_KEY_TYPES = (str, bytes, int, float, np.generic, type(None))
_NATIVE = ('|', '=', '<' if sys.byteorder == 'little' else '>')


class ArrayBuilder:
    """Builds arrays from what a pickle says about them, having checked it,
    and keeps an account of the memory that they take.
    """

    def __init__(self, max_bytes: int) -> None:
        self.left = max_bytes
        self.unfinished: dict[int, Any] = {}

    def spend(self, num_bytes: int) -> None:
        self.left -= num_bytes
        if self.left < 0:
            raise MemoryError

    def find(self, module: Any, name: Any) -> _Global:
        kind = _NAMES.get(f'{module} {name}')
        if kind is None:
            raise Forbidden(f"the global '{module}.{name}'")
        return _Global(f'{module}.{name}', kind)

    def call(self, target: Any, args: Any) -> Any:
        """What ``target(*args)`` or ``target.__new__(target, *args)`` is."""
        if type(target) is not _Global or type(args) is not tuple:
            raise Forbidden(f"a call of a '{type(target).__name__}'")
        match target.kind, args:
            case 'reconstruct', (_Global(kind='ndarray'), *_):
                # Empty, whatever was asked for, until the data is here.
                return self._begin(np.ndarray(0, dtype=np.int8))
            case 'dtype', (str(name), *_):
                return _dtype(name)
            case 'scalar', (np.dtype() as dtype, content):
                return self._view(content, dtype, ())[()]
            case 'frombuffer', (content, np.dtype() as dtype, shape, order):
                return self._view(content, dtype, shape, order).copy(order)
            case 'reconstructor', (_Global(kind=kind), _Global(), None):
                return self._begin(_sparse(kind))
            case kind, () if '_' in kind:
                return self._begin(_sparse(kind))
            case 'encode', (str(text), 'latin1'):
                self.spend(len(text))
                return text.encode('latin1')
            case 'bytes', ():
                return b''
            case 'set', (list(values),):
                return set(check_keys(values))
            case 'frozenset', (list(values),):
                return frozenset(check_keys(values))
        raise Forbidden(f"an unusual call of '{target.name}'")

    def set_state(self, target: Any, state: Any) -> None:
        """What ``target.__setstate__(state)`` does."""
        if isinstance(target, np.dtype):
            return _check_dtype_state(target, state)
        if self.unfinished.pop(id(target), None) is None:
            raise Forbidden(f"a change of a '{type(target).__name__}'")
        if isinstance(target, np.ndarray):
            _, shape, dtype, fortran, content = state
            order = 'F' if fortran else 'C'
            view = self._view(content, dtype, shape, order)
            checked: Any = view.__reduce__()[2]
            return target.__setstate__(checked)
        return self._fill_sparse(target, state)

    def check_finished(self) -> None:
        if self.unfinished:
            raise ValueError('an array is announced but its data is missing')

    def _begin(self, value: Any) -> Any:
        # Held by reference, so that its id stays its own.
        self.unfinished[id(value)] = value
        return value

    def _view(
        self, content: Any, dtype: Any, shape: Any, order: Any = 'C'
    ) -> np.ndarray[Any, Any]:
        if not isinstance(dtype, np.dtype) or order not in ('C', 'F'):
            raise TypeError(f"unknown array layout '{dtype}', '{order}'")
        if isinstance(content, str):  # written by Python 2
            content = content.encode('latin1')
        if not isinstance(content, bytes | bytearray):
            raise Forbidden('an array of objects')
        shape = _check_shape(shape)
        if math.prod(shape) * dtype.itemsize != len(content):
            raise ValueError(f'{len(content)} bytes for shape {shape}, {dtype}')
        self.spend(len(content))
        return np.ndarray(shape, dtype, content, order=order)

    def _fill_sparse(self, matrix: Any, state: Any) -> None:
        shape = _check_shape(state.get('_shape', state.get('shape')))
        if len(shape) != 2:
            raise ValueError(f'a sparse matrix of shape {shape}')
        # What the index pointer of a conversion to CSR or CSC would take.
        self.spend(8 * (max(shape) + 1))
        data = _vector(state['data'], 'biuf')
        if matrix.format == 'coo':
            coords = state.get('coords') or (state['row'], state['col'])
            row, col = (_vector(index, 'iu') for index in coords)
            for index, size in zip((row, col), shape, strict=True):
                if index.size and not 0 <= index.min() <= index.max() < size:
                    raise ValueError(f'sparse indices outside of shape {shape}')
            matrix.__init__((data, (row, col)), shape=shape)
        else:
            indices = _vector(state['indices'], 'iu')
            indptr = _vector(state['indptr'], 'iu')
            matrix.__init__((data, indices, indptr), shape=shape)
            matrix.check_format(full_check=True)


def check_keys(values: list[Any]) -> list[Any]:
    """Refuses tuples: hashing a deeply nested one overflows the C stack."""
    for value in values:
        if not isinstance(value, _KEY_TYPES):
            raise TypeError(f"unsupported key of type '{type(value).__name__}'")
    return values


def _sparse(kind: str) -> Any:
    if '_' not in kind:
        raise Forbidden(f"an object of type '{kind}'")
    cls = getattr(scipy.sparse, kind)
    return cls.__new__(cls)


def _dtype(name: str) -> np.dtype[Any]:
    dtype = np.dtype(name)
    if dtype.kind not in 'biufcSU' or dtype.itemsize == 0:
        raise Forbidden(f"an array of dtype '{dtype}'")
    return dtype


def _check_dtype_state(dtype: np.dtype[Any], state: Any) -> None:
    # Checked, not set: the state of a dtype can make it read other memory.
    _, order, *inner, size, _, _ = state
    if (
        order not in _NATIVE
        or inner != [None] * 3
        or size
        not in (
            -1,
            dtype.itemsize,
        )
    ):
        raise Forbidden(f"a structured or byte-swapped dtype '{dtype}'")


def _check_shape(shape: Any) -> tuple[int, ...]:
    if type(shape) is int:
        shape = (shape,)
    if type(shape) is not tuple or any(type(s) is not int for s in shape):
        raise TypeError(f"invalid array shape '{shape}'")
    if any(s < 0 for s in shape):
        raise ValueError(f"invalid array shape '{shape}'")
    return shape


def _vector(value: Any, kinds: str) -> np.ndarray[Any, Any]:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in kinds:
        raise TypeError('a sparse matrix that is not made of numeric arrays')
    return value
