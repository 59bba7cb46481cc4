"""Configuration of the documentation: ``make docs``."""

from pyg_darec._version import __version__

project = 'pyg_darec'
author = 'The pyg_darec authors'
version = release = __version__

extensions = [
    'sphinx.ext.autodoc',
    'sphinx.ext.mathjax',
    'sphinx.ext.napoleon',
    'myst_parser',
]
exclude_patterns = ['_build']

html_theme = 'furo'
html_title = f'pyg_darec {__version__}'

myst_enable_extensions = ['dollarmath']
myst_heading_anchors = 3

autodoc_member_order = 'bysource'
autodoc_typehints = 'none'  # the docstrings tell them
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = ['Shapes', 'Inputs', 'Relations']
# PyG's docstrings write code as :obj:`...`
default_role = 'py:obj'
