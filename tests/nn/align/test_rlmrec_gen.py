import pytest
import torch
from conformance.aligner import AlignerConformance
from conformance.graphs import METADATA, random_batch, random_data
from torch.nn import Embedding, Module
from torch_geometric.nn import GraphSAGE, to_hetero
from torch_geometric.nn import LightGCN as PyGLightGCN

from pyg_darec.nn.align import RLMRecGenAlign
from pyg_darec.nn.models import LightGCN


class TestConformance(AlignerConformance):
    expected_repr = (
        "RLMRecGenAlign(LightGCN(30, 20, 8, num_layers=3, combine='sum'), "
        'llm_dim=12, weight=0.1, mask_ratio=0.3, temperature=0.2)'
    )

    def wrap(self, model: Module) -> RLMRecGenAlign:
        return RLMRecGenAlign(model, 12, mask_ratio=0.3)


def test_equals_the_formula() -> None:
    torch.manual_seed(0)
    data = random_data()
    batch = random_batch(data)
    backbone = LightGCN.from_data(data, 8, edge_dropout=0.0)
    model = RLMRecGenAlign(backbone, 12, weight=0.3, temperature=0.5)
    torch.nn.init.normal_(model.mask_token)
    torch.manual_seed(5)
    _, terms = model.loss(data, batch)

    torch.manual_seed(5)
    masked = torch.randperm(50)[:5]
    masked_copy = LightGCN.from_data(data, 8, edge_dropout=0.0)
    masked_copy.load_state_dict(backbone.state_dict())
    with torch.no_grad():
        for node in masked.tolist():
            table = masked_copy.user_embedding.weight
            if node >= 30:
                table = masked_copy.item_embedding.weight
            table[node % 30 if node < 30 else node - 30] = model.mask_token
    out = torch.cat(masked_copy(data))
    profile = torch.cat([data['user'].llm_x, data['item'].llm_x]).double()
    guess = model.encoder(out, 8).double()
    expected = torch.zeros(()).double()
    for node in masked.tolist():
        cosine = torch.cosine_similarity(guess[node], profile[masked], dim=-1)
        own = torch.cosine_similarity(guess[node], profile[node], dim=-1)
        ratio = torch.exp(own / 0.5) / torch.exp(cosine / 0.5).sum()
        expected -= torch.log(ratio)
    assert torch.allclose(terms['gen'].double(), 0.3 * expected / 5, atol=1e-6)
    # The backbone's loss sees the masked input, its penalty does not.
    own = masked_copy.loss(data, batch)[1]
    assert torch.allclose(terms['bpr'], own['bpr'], atol=1e-6)
    assert torch.allclose(
        terms['reg'], backbone.loss(data, batch)[1]['reg'], atol=1e-9
    )


def test_embeddings_are_not_changed() -> None:
    data = random_data()
    model = TestConformance().build(data)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.loss(data, random_batch(data))[0].backward()
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_masks_the_table_of_a_foreign_model() -> None:
    data = random_data()
    model = RLMRecGenAlign(PyGLightGCN(50, 8, num_layers=2), 12)
    loss, _ = model.loss(data, random_batch(data))
    loss.backward()
    assert model.mask_token.grad is not None
    assert model.mask_token.grad.abs().sum() > 0


def test_model_without_tables() -> None:
    model = to_hetero(GraphSAGE((-1, -1), 16, num_layers=2), METADATA)
    with pytest.raises(TypeError, match='masks input embeddings'):
        RLMRecGenAlign(model, 12)


def test_tables_of_other_sizes() -> None:
    class Plain(Module):
        def __init__(self) -> None:
            super().__init__()
            self.items, self.users = Embedding(21, 8), Embedding(30, 8)

    model = RLMRecGenAlign(
        Plain(), 12, embed=lambda m, data: (m.users.weight, m.items.weight)
    )
    data = random_data()
    with pytest.raises(ValueError, match=r'shapes \[\(21, 8\), \(30, 8\)\]'):
        model.loss(data, random_batch(data))


@pytest.mark.parametrize(
    'kwargs', [{'mask_ratio': 0.0}, {'mask_ratio': 1.1}, {'temperature': 0}]
)
def test_bad_arguments(kwargs: dict) -> None:
    with pytest.raises(ValueError, match=f"'{next(iter(kwargs))}'"):
        RLMRecGenAlign(LightGCN(3, 3), 12, **kwargs)


def test_everything_masked() -> None:
    data = random_data()
    model = RLMRecGenAlign(LightGCN.from_data(data, 8), 12, mask_ratio=1.0)
    assert model.loss(data, random_batch(data))[0].isfinite()
