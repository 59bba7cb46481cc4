import os
from pathlib import Path

import pytest

from pyg_darec.datasets import OnlineRetail


@pytest.fixture(scope='session')
def shared_data():
    """The folder of data sets that the package may not ship."""
    default = Path(__file__).parents[3] / 'shared' / 'data'
    path = Path(os.environ.get('PYG_DAREC_DATA', default))
    if not path.is_dir():
        pytest.skip(f"set 'PYG_DAREC_DATA' to the data folder (got '{path}')")
    return path


@pytest.fixture(scope='session')
def online_retail_root(tmp_path_factory):
    return tmp_path_factory.mktemp('online_retail')


@pytest.fixture(scope='session')
def online_retail(online_retail_root):
    return OnlineRetail(str(online_retail_root))[0]
