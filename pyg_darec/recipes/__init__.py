"""Reference settings of the backbones, by data set."""

from pyg_darec.recipes.recipe import Recipe, load_recipe

__all__ = ['Recipe', 'load_recipe']
