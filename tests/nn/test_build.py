import pytest
import torch
from conformance.graphs import random_data

from pyg_darec.nn.align import DaRecAlign
from pyg_darec.nn.build import build_model
from pyg_darec.nn.models import LightGCN


def test_parts_and_options():
    data = random_data()
    before = torch.get_rng_state()
    model = build_model(data, 'lightgcn', 'darec', 8, {'num_layers': 1})
    assert isinstance(model, DaRecAlign)
    assert isinstance(model.model, LightGCN)
    assert (model.model.dim, model.model.num_layers) == (8, 1)
    assert torch.get_rng_state().equal(before)
    assert isinstance(build_model(data, aligner='none'), LightGCN)


def test_the_seed_decides():
    data = random_data()
    a, b, c = (
        build_model(data, 'lightgcn', 'darec', seed=n).state_dict()
        for n in (0, 0, 1)
    )
    assert all(a[key].equal(b[key]) for key in a)
    assert not all(a[key].equal(c[key]) for key in a)


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        ({'backbone': 'darec'}, "'backbone' needs to be a backbone"),
        ({'aligner': 'sgl'}, "'aligner' needs to be an alignment method"),
        ({'backbone_options': {'layers': 1}}, "'layers'"),
    ],
)
def test_bad_arguments(arguments, says):
    with pytest.raises(ValueError, match=says):
        build_model(random_data(), **arguments)


def test_alignment_needs_embeddings():
    data = random_data()
    del data['user'].llm_x
    build_model(data, aligner='darec')  # one side is enough for it
    with pytest.raises(ValueError, match='embeddings of users'):
        build_model(data, aligner='rlmrec-con')
    del data['item'].llm_x
    with pytest.raises(ValueError, match="encode them first, or choose 'none'"):
        build_model(data, aligner='darec')
