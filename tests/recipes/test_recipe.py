from importlib.resources import files

import pytest
import yaml
from conformance.graphs import random_batch, random_data

from pyg_darec import fit
from pyg_darec.nn.models import SGL
from pyg_darec.recipes import load_recipe

RECIPES = [
    (path.name.removesuffix('.yaml'), backbone)
    for path in files('pyg_darec.recipes').iterdir()
    if path.name.endswith('.yaml')
    for backbone in yaml.safe_load(path.read_text(encoding='utf-8'))['models']
]


@pytest.mark.parametrize(('dataset', 'backbone'), RECIPES)
def test_every_recipe_builds(dataset: str, backbone: str) -> None:
    data = random_data()
    recipe = load_recipe(dataset, backbone)
    model = recipe.build(data)
    assert isinstance(model, recipe.backbone)
    for name, value in recipe.options.items():
        assert getattr(model, name) == value
    assert model.loss(data, random_batch(data))[0].isfinite()


def test_covers_nine_backbones_on_three_data_sets() -> None:
    assert len(RECIPES) == len(set(RECIPES)) == 27


def test_reference_settings() -> None:
    recipe = load_recipe('Yelp', 'SGL')
    assert recipe.backbone is SGL
    assert recipe.options['temperature'] == 0.1
    assert recipe.fit['lr'] == 1e-3
    assert load_recipe('yelp', 'gccf').fit == {**recipe.fit, 'lr': 5e-3}
    assert load_recipe('amazon_book', 'autocf').options['ssl_weight'] == 5


def test_trains_and_takes_other_options() -> None:
    data = random_data()
    recipe = load_recipe('steam', 'lightgcn')
    model = recipe.build(data, dim=8)
    assert model.dim == 8
    assert model.num_layers == 2
    settings = {**recipe.fit, 'epochs': 3, 'monitor': 'Recall@5'}
    assert len(fit(model, data, **settings, progress=False).history) == 3


def test_unknown_names() -> None:
    with pytest.raises(
        ValueError, match=r"amazon-book, steam, yelp .*'movies'"
    ):
        load_recipe('movies', 'lightgcn')
    with pytest.raises(ValueError, match=r'recipes for lightgcn, .*darec'):
        load_recipe('yelp', 'darec')
    with pytest.raises(ValueError, match='none of'):
        load_recipe('yelp', 'matrix')
