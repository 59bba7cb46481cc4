"""What every model of the library has to do, backbone or aligner."""

import copy

import pytest
import torch
from conformance.graphs import RATES, block_data, random_batch, random_data
from safetensors.torch import load, save
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_darec.as_graph import as_graph
from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.recommender import Recommender

DEVICES = ['cpu', *(['cuda'] if torch.cuda.is_available() else [])]


class RecommenderConformance:
    """Subclass it, implement :meth:`make`, and name it ``Test...``."""

    def make(self, data: HeteroData) -> Recommender:
        """A deterministic model: no dropout, no sampling."""
        raise NotImplementedError

    expected_repr: str

    def build(self, data: HeteroData, seed: int = 1) -> Recommender:
        torch.manual_seed(seed)
        model = self.make(data)
        model.loss(data, random_batch(data))  # sets open widths
        model.reset_parameters()
        return model

    def test_shapes(self) -> None:
        data = random_data()
        model = self.build(data)
        user, item = model(data)
        assert user.size(0) == data['user'].num_nodes
        assert item.size(0) == data['item'].num_nodes
        assert user.size(1) == item.size(1) == model.out_dim

    def test_repr(self) -> None:
        assert repr(self.make(random_data())) == self.expected_repr

    def test_reset_parameters(self) -> None:
        model = self.build(random_data())
        before = copy.deepcopy(model.state_dict())
        torch.manual_seed(7)
        model.reset_parameters()
        changed = model.state_dict()
        torch.manual_seed(7)
        model.reset_parameters()
        for name, value in model.state_dict().items():
            assert torch.equal(value, changed[name])
        assert any(
            not torch.equal(before[name], value)
            for name, value in changed.items()
        )

    def test_reset_forgets_what_was_trained(self) -> None:
        """A loop that begins again is that of a new model."""
        data, losses = random_data(), []
        model = self.build(data)
        for _ in range(2):
            torch.manual_seed(7)
            model.reset_parameters()
            losses.append(model.loss(data, random_batch(data))[0])
            model.renew(as_graph(data), epoch=50, step=0)
        assert torch.equal(losses[0], losses[1])

    def test_eval_is_deterministic(self) -> None:
        data = random_data()
        model = self.build(data).eval()
        for a, b in zip(model(data), model(data), strict=True):
            assert torch.equal(a, b)

    def test_takes_data_and_graph_alike(self) -> None:
        data = random_data()
        model = self.build(data).eval()
        graph = BipartiteGraph.from_data(data)
        for a, b in zip(model(data), model(graph), strict=True):
            assert torch.equal(a, b)

    def test_terms_sum_to_the_loss(self) -> None:
        data = random_data()
        loss, terms = self.build(data).loss(data, random_batch(data))
        assert loss.dim() == 0
        assert loss.requires_grad
        for term in terms.values():
            assert term.dim() == 0
            assert not term.requires_grad
        assert torch.allclose(loss, sum(terms.values(), start=torch.zeros(())))

    def test_gradients_reach_every_parameter(self) -> None:
        data = random_data()
        model = self.build(data)
        model.loss(data, random_batch(data))[0].backward()
        for name, param in model.named_parameters():
            assert param.grad is not None, name
            assert param.grad.isfinite().all(), name
            assert param.grad.abs().sum() > 0, name

    def test_permutation_equivariance(self) -> None:
        data = random_data()
        model = self.build(data).eval()
        user, item = model(data)
        generator = torch.Generator().manual_seed(3)
        perm_u = torch.randperm(user.size(0), generator=generator)
        perm_i = torch.randperm(item.size(0), generator=generator)

        def renumber(index: Tensor) -> Tensor:
            rank = perm_u.argsort()[index[0]], perm_i.argsort()[index[1]]
            return torch.stack(rank)

        permuted = random_data()
        permuted[RATES].edge_index = renumber(data[RATES].edge_index)
        permuted['user'].llm_x = data['user'].llm_x[perm_u]
        permuted['item'].llm_x = data['item'].llm_x[perm_i]
        with torch.no_grad():
            names = model.embedding_names()
            for name, perm in zip(names, (perm_u, perm_i), strict=True):
                param = model.get_parameter(name)
                param.copy_(param[perm].clone())
        out_user, out_item = model(permuted)
        assert torch.allclose(out_user, user[perm_u], atol=1e-6)
        assert torch.allclose(out_item, item[perm_i], atol=1e-6)

    def test_state_dict_round_trip(self) -> None:
        data = random_data()
        model, other = self.build(data), self.build(data, seed=2)
        state = load(save(model.state_dict()))
        assert not any('llm_x' in name for name in state)
        other.load_state_dict(state)
        model.eval(), other.eval()
        for a, b in zip(model(data), other(data), strict=True):
            assert torch.equal(a, b)

    def test_state_dict_into_a_new_model(self) -> None:
        data = random_data()
        model = self.build(data).eval()
        other = self.make(data).eval()  # its widths may still be open
        other.load_state_dict(model.state_dict())
        for a, b in zip(model(data), other(data), strict=True):
            assert torch.equal(a, b)

    def test_isolated_nodes(self) -> None:
        data = random_data()
        graph = as_graph(data)
        assert graph.user_degree[-1] == graph.item_degree[-1] == 0
        for out in self.build(data)(data):
            assert out.isfinite().all()

    def test_no_edges(self) -> None:
        data = random_data()
        data[RATES].edge_index = torch.empty(2, 0, dtype=torch.long)
        model = self.build(data)
        for out in model(data):
            assert out.isfinite().all()
        assert model.loss(data, random_batch(data))[0].isfinite()

    @pytest.mark.parametrize('size', [(1, 20), (30, 1)])
    def test_one_user_or_one_item(self, size: tuple[int, int]) -> None:
        data = random_data(*size)
        model = self.build(data)
        loss, _ = model.loss(data, random_batch(data))
        loss.backward()
        assert loss.isfinite()

    @pytest.mark.parametrize('size', [0, 1])
    def test_tiny_batch(self, size: int) -> None:
        data = random_data()
        model = self.build(data)
        loss, _ = model.loss(data, random_batch(data, size))
        loss.backward()
        assert loss.isfinite()
        for param in model.parameters():
            assert param.grad is None or param.grad.isfinite().all()

    def test_ragged_batch(self) -> None:
        data = random_data()
        user, pos, neg = random_batch(data)
        with pytest.raises(ValueError, match="'batch' needs three index"):
            self.build(data).loss(data, (user, pos, neg[:-1]))

    @pytest.mark.parametrize('device', DEVICES)
    def test_device_and_dtype_moves(self, device: str) -> None:
        data = random_data()
        model = self.build(data).to(device).double()
        graph = as_graph(data).to(device)
        batch = random_batch(data)  # it may stay on the host
        loss, _ = model.loss(graph, batch)  # type: ignore[arg-type]
        assert loss.device.type == device
        assert loss.dtype == torch.float64
        for out in model(graph):
            assert out.device.type == device

    def test_bfloat16_autocast(self) -> None:
        data = random_data()
        model = self.build(data)
        exact, _ = model.loss(data, random_batch(data))
        with torch.autocast('cpu', dtype=torch.bfloat16):
            loss, _ = model.loss(data, random_batch(data))
        loss.backward()
        assert torch.allclose(loss.float(), exact, rtol=0.05, atol=0.05)

    def test_training_finds_the_blocks(self) -> None:
        data = block_data()
        model = self.build(data)
        graph = as_graph(data)
        user, pos = graph.edge_index
        optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
        losses = []
        for seed in range(60):
            torch.manual_seed(seed)
            block = pos // 8
            shift = torch.randint(1, 4, block.shape) * 8
            neg = (pos + shift) % graph.num_items
            loss, _ = model.loss(data, (user, pos, neg))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < losses[0]
        with torch.no_grad():
            u, i = model.eval()(data)
        score = u @ i.t()
        score[user, pos] = -torch.inf
        top = score.topk(2, dim=1).indices
        right = torch.zeros_like(score, dtype=torch.bool)
        right[tuple(graph.edge_label_index['test'])] = True
        assert right.gather(1, top).all()
