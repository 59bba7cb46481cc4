"""Pickles from strangers, read as data.

Python's own unpickler runs what a file tells it to. Overriding its
``find_class`` leaves it open to a file that patches the classes it may use,
or that asks for gigabytes in a few bytes. So the instructions are decoded
here, by :func:`pickletools.genops`, and those that build plain data are
carried out one by one: nothing that a file names is ever imported or called.
"""

import os
import pickle
import pickletools
from pathlib import Path
from typing import Any

from pyg_darec.io._array_builder import ArrayBuilder, Forbidden, check_keys

# What nonsense instructions run into here.
_DAMAGE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
_BYTES_PER_INSTRUCTION = 64  # about what an empty container takes


class RestrictedPickleError(pickle.UnpicklingError, ValueError):
    r"""A pickle that is damaged or holds more than arrays and containers."""


def load_restricted_pickle(
    path: str | os.PathLike[str], max_bytes: int = 2**30
) -> Any:
    r"""Loads numbers, strings, built-in containers, :obj:`numpy` arrays and
    :obj:`scipy.sparse` COO, CSR and CSC matrices from a pickle of any
    protocol, and refuses everything else without running any of it.

    Args:
        path (str or os.PathLike): The file.
        max_bytes (int, optional): The largest file to read, and the most
            memory that its content may take. (default: :obj:`2**30`)

    Raises:
        RestrictedPickleError: If the file names anything else, is too large,
            is damaged, or holds a matrix with indices outside of its shape.
            It is both a :class:`ValueError` and a
            :class:`pickle.UnpicklingError`.
    """
    path = Path(path)
    with path.open('rb') as file:
        content = file.read(max_bytes + 1)
    try:
        if len(content) > max_bytes:
            raise MemoryError
        return _Reader(max_bytes).read(content)
    except MemoryError:
        raise RestrictedPickleError(
            f"'{path}' or its content is too large; pass a larger "
            f"'max_bytes' if you trust it (got max_bytes={max_bytes} for a "
            f'file of {path.stat().st_size} bytes)'
        ) from None
    except Forbidden as e:
        raise RestrictedPickleError(
            f"'{path}' may only hold numpy and scipy.sparse arrays of numbers "
            f'or text and built-in containers; what else it holds could run '
            f'code, so do not load it by other means (got {e})'
        ) from None
    except _DAMAGE as e:
        raise RestrictedPickleError(
            f"'{path}' is not a complete and valid pickle; fetch it again "
            f'(got {type(e).__name__}: {e})'
        ) from e


class _Reader:
    """A stack machine for the data-building part of the pickle language."""

    def __init__(self, max_bytes: int) -> None:
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # the stacks below each mark
        # A dictionary, since a table could be made to grow without bound.
        self.memo: dict[int, Any] = {}
        self.arrays = ArrayBuilder(max_bytes)

    def read(self, content: bytes) -> Any:
        for opcode, arg, _ in pickletools.genops(content):
            self.arrays.spend(_BYTES_PER_INSTRUCTION)
            self.step(opcode.name, arg)
        (value,) = self.stack
        self.arrays.check_finished()
        return value

    def step(self, name: str, arg: Any) -> None:
        match name:
            case 'PROTO' | 'FRAME' | 'STOP':
                pass
            case _ if name in _LITERALS:
                self.push(arg)
            case _ if name in _CONSTANTS:
                self.push(_CONSTANTS[name])
            case 'EMPTY_LIST':
                self.push([])
            case 'EMPTY_DICT':
                self.push({})
            case 'EMPTY_SET':
                self.push(set())
            case 'MARK':
                self.outer.append(self.stack)
                self.stack = []
            case 'POP':
                self.stack.pop()
            case 'POP_MARK':
                self.pop_to_mark()
            case 'DUP':
                self.push(self.stack[-1])
            case 'MEMOIZE':
                self.memo[len(self.memo)] = self.stack[-1]
            case 'PUT' | 'BINPUT' | 'LONG_BINPUT':
                self.memo[arg] = self.stack[-1]
            case 'GET' | 'BINGET' | 'LONG_BINGET':
                self.push(self.memo[arg])
            case 'TUPLE1' | 'TUPLE2' | 'TUPLE3':
                self.push(tuple(self.pop(int(name[-1]))))
            case 'TUPLE':
                self.push(tuple(self.pop_to_mark()))
            case 'LIST':
                self.push(self.pop_to_mark())
            case 'DICT':
                self.push(_dict(self.pop_to_mark()))
            case 'FROZENSET':
                self.push(frozenset(check_keys(self.pop_to_mark())))
            case 'APPEND':
                self.extend(self.pop(1))
            case 'APPENDS':
                self.extend(self.pop_to_mark())
            case 'SETITEM':
                self.update(self.pop(2))
            case 'SETITEMS':
                self.update(self.pop_to_mark())
            case 'ADDITEMS':
                values = self.pop_to_mark()
                _exact(self.stack[-1], set).update(check_keys(values))
            case 'GLOBAL':
                self.push(self.arrays.find(*arg.split(' ', 1)))
            case 'STACK_GLOBAL':
                self.push(self.arrays.find(*self.pop(2)))
            case 'REDUCE' | 'NEWOBJ':
                self.push(self.arrays.call(*self.pop(2)))
            case 'BUILD':
                state = self.stack.pop()
                self.arrays.set_state(self.stack[-1], state)
            case _:
                raise Forbidden(f"the instruction '{name}'")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self, size: int) -> list[Any]:
        if len(self.stack) < size:
            raise IndexError('pop from an empty stack')
        values = self.stack[-size:]
        del self.stack[-size:]
        return values

    def pop_to_mark(self) -> list[Any]:
        values, self.stack = self.stack, self.outer.pop()
        return values

    def extend(self, values: list[Any]) -> None:
        _exact(self.stack[-1], list).extend(values)

    def update(self, values: list[Any]) -> None:
        _exact(self.stack[-1], dict).update(_dict(values))


# fmt: off
_LITERALS = {
    'INT', 'BININT', 'BININT1', 'BININT2', 'LONG', 'LONG1', 'LONG4',
    'FLOAT', 'BINFLOAT', 'STRING', 'BINSTRING', 'SHORT_BINSTRING',
    'UNICODE', 'SHORT_BINUNICODE', 'BINUNICODE', 'BINUNICODE8',
    'SHORT_BINBYTES', 'BINBYTES', 'BINBYTES8', 'BYTEARRAY8',
}
# fmt: on
_CONSTANTS = {
    'NONE': None,
    'NEWTRUE': True,
    'NEWFALSE': False,
    'EMPTY_TUPLE': (),
}


def _dict(values: list[Any]) -> dict[Any, Any]:
    return dict(zip(check_keys(values[::2]), values[1::2], strict=True))


def _exact(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f'expected a {kind.__name__}, found {type(value)}')
    return value
