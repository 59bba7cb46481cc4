"""What every alignment method has to do."""

import pytest
import torch
from conformance.graphs import random_batch, random_data
from conformance.recommender import RecommenderConformance
from torch.nn import Module
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.nn.align import Aligner
from pyg_darec.nn.models import LightGCN


class AlignerConformance(RecommenderConformance):
    """Subclass it and implement :meth:`wrap`, for profiles of width 12."""

    def wrap(self, model: Module) -> Aligner:
        raise NotImplementedError

    def make(self, data: HeteroData) -> Aligner:
        return self.wrap(LightGCN.from_data(data, 8, edge_dropout=0.0))

    def test_base_loss_is_the_models_own(self) -> None:
        data, batch = random_data(), random_batch(random_data())
        model = self.build(data)
        assert isinstance(model, Aligner)
        own = model.model.loss(data, batch)[1]
        for _ in range(2):
            terms = model.loss(data, batch)[1]
            assert set(own) < set(terms)

    def test_weight_scales_the_alignment(self) -> None:
        data, batch = random_data(), random_batch(random_data())
        model = self.build(data)
        assert isinstance(model, Aligner)
        terms = []
        for weight in (0.0, 0.01, 0.02):
            model.weight = weight
            torch.manual_seed(0)
            terms.append(model.loss(data, batch)[1])
        own = set(model.model.loss(data, batch)[1])
        for name in set(terms[0]) - own:
            assert terms[0][name] == 0
            assert torch.allclose(terms[2][name], 2 * terms[1][name])

    def test_backbone_gets_gradients_from_the_alignment(self) -> None:
        data, batch = random_data(), random_batch(random_data())
        model = self.build(data)
        assert isinstance(model, Aligner)
        own = set(model.model.loss(data, batch)[1])
        terms = model.step(as_graph(data), batch).terms
        sum(
            (term for name, term in terms.items() if name not in own),
            start=torch.zeros(()),
        ).backward()
        for name in model.embedding_names():
            grad = model.get_parameter(name).grad
            assert grad is not None
            assert grad.abs().sum() > 0

    def test_parameters_of_the_model_are_kept(self) -> None:
        data = random_data()
        backbone = LightGCN.from_data(data, 8)
        before = backbone.user_embedding.weight.clone()
        self.wrap(backbone)
        assert torch.equal(backbone.user_embedding.weight, before)

    def test_regularisation_of_its_own_parameters(self) -> None:
        data, batch = random_data(), random_batch(random_data())
        model = self.build(data)
        assert isinstance(model, Aligner)
        assert 'align_reg' not in model.loss(data, batch)[1]
        model.reg_weight = 0.5
        inside = {id(param) for param in model.model.parameters()}
        expected = sum(
            (
                param.detach().square().sum()
                for param in model.parameters()
                if id(param) not in inside
            ),
            start=torch.zeros(()),
        )
        got = model.loss(data, batch)[1]['align_reg']
        assert torch.allclose(got, 0.5 * expected)

    @pytest.mark.parametrize('kind', ['user', 'item'])
    def test_missing_profiles(self, kind: str) -> None:
        data = random_data()
        del data[kind].llm_x
        with pytest.raises(ValueError, match=rf"data\['{kind}'\].llm_x"):
            self.make(data).loss(data, random_batch(data))

    @pytest.mark.parametrize('kind', ['user', 'item'])
    def test_profiles_of_another_width(self, kind: str) -> None:
        data = random_data()
        data[kind].llm_x = data[kind].llm_x[:, :5]
        with pytest.raises(
            ValueError, match=rf"'llm_dim' is 12.*{kind}s.*\(got 5\)"
        ):
            self.make(data).loss(data, random_batch(data))

    def test_profiles_that_are_not_finite(self) -> None:
        data = random_data()
        data['item'].llm_x[3, 2] = torch.nan
        with pytest.raises(ValueError, match=r'items are not finite.*row 3'):
            self.make(data).loss(data, random_batch(data))

    def test_half_precision_profiles(self) -> None:
        data = random_data()
        for kind in ('user', 'item'):
            data[kind].llm_x = data[kind].llm_x.half()
        loss, _ = self.make(data).loss(data, random_batch(data))
        assert loss.dtype == torch.float32

    @pytest.mark.parametrize('name', ['weight', 'reg_weight', 'llm_dim'])
    def test_bad_arguments_of_the_contract(self, name: str) -> None:
        cls = type(self.make(random_data()))
        kwargs = {'llm_dim': 12, name: -1}
        with pytest.raises(ValueError, match=rf"'{name}'.*\(got -1\)"):
            cls(LightGCN(3, 3), **kwargs)  # type: ignore[call-arg]
