"""LLM knowledge for graph recommenders on PyTorch Geometric."""

from pyg_darec._version import __version__
from pyg_darec.graph import BipartiteGraph
from pyg_darec.metrics import evaluate
from pyg_darec.nn.align import DaRecAlign
from pyg_darec.retrieval import recommend
from pyg_darec.train import fit

__all__ = [
    'BipartiteGraph',
    'DaRecAlign',
    '__version__',
    'evaluate',
    'fit',
    'recommend',
]
