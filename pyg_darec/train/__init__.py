"""Training, and the files that it writes."""

from pyg_darec.train.fit import fit
from pyg_darec.train.result import FitResult
from pyg_darec.train.run_folder import load_run
from pyg_darec.train.weights import load_model, save_model

__all__ = ['FitResult', 'fit', 'load_model', 'load_run', 'save_model']
