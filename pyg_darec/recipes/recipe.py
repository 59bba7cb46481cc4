"""Settings that a published result was made with."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml
from torch_geometric.data import HeteroData
from torch_geometric.resolver import normalize_string

from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.models import Backbone
from pyg_darec.nn.resolver import resolve


@dataclass(frozen=True)
class Recipe:
    r"""A backbone with its settings for one data set.

    .. code-block:: python

        recipe = load_recipe('yelp', 'lightgcn')
        model = recipe.build(data)
        fit(model, data, **recipe.fit)

    Args:
        backbone (type): The class of the backbone.
        options (dict): What it is made with.
        fit (dict): How it is trained: arguments of
            :func:`~pyg_darec.train.fit`.
    """

    backbone: type[Backbone]
    options: Mapping[str, Any]
    fit: Mapping[str, Any]

    def build(
        self, data: HeteroData | BipartiteGraph, **options: Any
    ) -> Backbone:
        r"""The backbone for :obj:`data`; :obj:`options` go before those of
        the recipe.
        """
        return self.backbone.from_data(data, **{**self.options, **options})


def load_recipe(dataset: str, backbone: str) -> Recipe:
    r"""The reference settings of a backbone for one of the data sets of the
    RLMRec paper. The files say where each setting comes from.

    Args:
        dataset (str): :obj:`'amazon-book'`, :obj:`'yelp'` or
            :obj:`'steam'`.
        backbone (str): The name of the backbone, as
            :func:`~pyg_darec.nn.resolver.resolve` takes it.

    Raises:
        ValueError: If there is no such data set or backbone, or no recipe
            for the two.
    """
    cls = resolve(backbone)
    found = {
        normalize_string(path.name.removesuffix('.yaml')): path
        for path in files(__package__).iterdir()
        if path.name.endswith('.yaml')
    }
    path = found.get(normalize_string(dataset))
    if path is None:
        names = sorted(
            path.name.removesuffix('.yaml') for path in found.values()
        )
        raise ValueError(
            f'There are recipes for {", ".join(names)} '
            f"(got dataset='{dataset}')"
        )
    settings = yaml.safe_load(path.read_text(encoding='utf-8'))
    models = {normalize_string(name): name for name in settings['models']}
    name = models.get(normalize_string(cls.__name__))
    if name is None or not issubclass(cls, Backbone):
        raise ValueError(
            f"'{path.name}' has recipes for {', '.join(models.values())} "
            f"(got backbone='{backbone}')"
        )
    options = {**settings['options'], **settings['models'][name]}
    # What this backbone is trained with differently from the others.
    own = options.pop('fit', {})
    return Recipe(cls, options, {**settings['fit'], **own})
