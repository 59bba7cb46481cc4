"""Models and alignment methods by name."""

import difflib
import inspect
from types import ModuleType
from typing import Any

from torch_geometric.resolver import normalize_string

from pyg_darec.nn import align, models, objectives
from pyg_darec.nn.recommender import Recommender


def resolve(query: str | type[Recommender]) -> type[Recommender]:
    r"""The class of a backbone or an alignment method by its name, in the
    manner of PyG's resolvers: case, hyphens, underscores and the ending of
    :obj:`DaRecAlign` do not matter.

    .. code-block:: python

        model = resolve('lightgcn').from_data(data, 64)
        model = resolve('darec')(model, llm_dim=384)

    Args:
        query (str or type): The name; a class is returned as it is.

    Raises:
        ValueError: If there is no class of that name.
        TypeError: If :obj:`query` is neither a name nor a class of models.
    """
    known = _classes(models, models.Backbone) | _classes(align, align.Aligner)
    found: type[Recommender] = _find(query, Recommender, known, 'align')
    return found


def resolve_objective(
    query: str | type[objectives.Objective],
) -> type[objectives.Objective]:
    r"""The class of an objective by its name or by that of its term, such as
    :obj:`'softmax'`; see :func:`resolve`.

    Raises:
        ValueError: If there is no class of that name.
        TypeError: If :obj:`query` is neither a name nor a class of
            objectives.
    """
    known = _classes(objectives, objectives.Objective)
    known |= {normalize_string(cls.name): cls for cls in known.values()}
    found: type[objectives.Objective] = _find(
        query, objectives.Objective, known
    )
    return found


def _find(
    query: Any, base: type, known: dict[str, Any], ending: str = ''
) -> Any:
    if inspect.isclass(query) and issubclass(query, base):
        return query
    if not isinstance(query, str):
        raise TypeError(
            f"'query' needs to be a name, or a class of '{base.__name__}' "
            f'(got {query!r})'
        )
    name = normalize_string(query)
    for key in (name, f'{name}{ending}'):
        if key in known:
            return known[key]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean '{known[near[0]].__name__}'?" if near else ''
    choices = sorted({cls.__name__ for cls in known.values()})
    raise ValueError(
        f"'{query}' is none of {', '.join(choices)}{hint} (got '{query}')"
    )


def _classes(module: ModuleType, base: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in module.__all__:
        cls = getattr(module, name)
        is_one = inspect.isclass(cls) and issubclass(cls, base)
        if is_one and cls is not base and not inspect.isabstract(cls):
            found[normalize_string(name)] = cls
    return found
