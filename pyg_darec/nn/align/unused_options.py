"""Options of DaRec that were chosen and change nothing."""

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

_OF_STRUCTURE = (
    'num_samples',
    'num_clusters',
    'matching',
    'or_weight',
    'uni_weight',
    'glo_weight',
    'loc_weight',
    'glo_reduction',
    'dim',
    'hidden_dim',
    'num_layers',
    'num_iters',
)
_OF_INJECTION = ('num_neighbors', 'rank')


def warn_of_unused(aligner: Any, given: Mapping[str, Any]) -> None:
    r"""Warns of arguments that differ from their defaults, and are of the
    part that :obj:`aligner` does not have.
    """
    if aligner.structure is None:
        need = "preset='paper', or 'weight'"
        _warn(type(aligner), given, _OF_STRUCTURE, need)
    if aligner.injection is None:
        need = "'profile_weight' or 'neighbor_weight'"
        _warn(type(aligner), given, _OF_INJECTION, need)


def _warn(
    cls: type, given: Mapping[str, Any], names: tuple[str, ...], need: str
) -> None:
    known = inspect.signature(cls).parameters
    chosen = [
        name
        for name in names
        # A subclass may fix some of them.
        if name in known and given[name] != known[name].default
    ]
    if chosen:
        got = ', '.join(f'{name}={given[name]!r}' for name in chosen)
        warnings.warn(
            f"Options of '{cls.__name__}' that have no effect without {need} "
            f'above 0; pass one, or leave them out (got {got})'
        )
