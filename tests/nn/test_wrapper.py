import pytest
import torch
from conformance.graphs import random_batch, random_data
from torch_geometric.nn import LightGCN as PyGLightGCN

from pyg_darec.nn.align import DaRecAlign, RLMRecConAlign
from pyg_darec.nn.models import LightGCN


@pytest.mark.parametrize('aligner', [DaRecAlign, RLMRecConAlign])
def test_model_cannot_be_exchanged(aligner):
    data = random_data()
    model = aligner(PyGLightGCN(50, 8, num_layers=1), 12)
    loss, _ = model.loss(data, random_batch(data))
    match = r"'model' of a 'ForeignModel'.* new 'Fore.*\(got a 'LightGCN'\)"
    with pytest.raises(AttributeError, match=match):
        model.model.model = PyGLightGCN(50, 8, num_layers=1)
    for other in (PyGLightGCN(50, 8, num_layers=1), LightGCN(30, 20, 8)):
        match = rf"'model' of a '{aligner.__name__}' needs to be the one"
        with pytest.raises(AttributeError, match=match):
            model.model = other
    assert torch.equal(model.loss(data, random_batch(data))[0], loss)
