r"""Interactions with text, as PyG datasets, and those of your own table."""

from pyg_darec.datasets.amazon_book import AmazonBook
from pyg_darec.datasets.folder import load_data, save_data
from pyg_darec.datasets.online_retail import OnlineRetail
from pyg_darec.datasets.reviews import read_reviews
from pyg_darec.datasets.rlmrec import RLMRecDataset
from pyg_darec.datasets.steam import Steam
from pyg_darec.datasets.table import from_table
from pyg_darec.datasets.texts import attach_texts
from pyg_darec.datasets.yelp import Yelp

__all__ = [
    'AmazonBook',
    'OnlineRetail',
    'RLMRecDataset',
    'Steam',
    'Yelp',
    'attach_texts',
    'from_table',
    'load_data',
    'read_reviews',
    'save_data',
]
