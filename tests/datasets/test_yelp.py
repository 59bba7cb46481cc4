import shutil
import warnings

from pyg_darec.datasets import Yelp
from pyg_darec.graph import EDGE_TYPE, BipartiteGraph


def test_published_split(shared_data, tmp_path):
    shutil.copytree(shared_data / 'yelp', tmp_path / 'raw')
    with warnings.catch_warnings():
        warnings.simplefilter('error')  # the digests are the published ones
        data = Yelp(str(tmp_path))[0]
    assert data['user'].num_nodes == 11_091
    assert data['item'].num_nodes == 11_010
    assert data[EDGE_TYPE].edge_index.shape == (2, 166_620)
    assert data[EDGE_TYPE].val_edge_label_index.shape == (2, 55_479)
    assert data[EDGE_TYPE].test_edge_label_index.shape == (2, 55_436)
    assert BipartiteGraph.from_data(data).num_edges == 166_620
