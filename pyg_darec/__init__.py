"""LLM knowledge for graph recommenders on PyTorch Geometric."""

from pyg_darec._version import __version__

__all__ = ['__version__']
