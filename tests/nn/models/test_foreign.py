import pickle
import warnings
from typing import Any

import pytest
import torch
from conformance.graphs import METADATA, RATES, random_batch, random_data
from torch import Tensor
from torch.nn import DataParallel, Embedding, Linear, Module
from torch.optim.swa_utils import AveragedModel
from torch_geometric.data import HeteroData
from torch_geometric.nn import (
    GAT,
    GATConv,
    GraphConv,
    GraphSAGE,
    HeteroConv,
    SAGEConv,
    to_hetero,
)
from torch_geometric.nn import LightGCN as PyGLightGCN

from pyg_darec.as_graph import as_graph
from pyg_darec.graph import BipartiteGraph
from pyg_darec.nn.align import (
    ControlRecAlign,
    CTRLAlign,
    DaRecAlign,
    KARAlign,
    RLMRecConAlign,
    RLMRecGenAlign,
)
from pyg_darec.nn.functional import bpr_loss
from pyg_darec.nn.models import ForeignModel, LightGCN, as_recommender
from pyg_darec.nn.objectives import BCE
from pyg_darec.retrieval import compute_embeddings
from pyg_darec.train import fit


class Plain(Module):
    """Knows nothing of the library."""

    def __init__(self, num_users: int = 30, num_items: int = 20) -> None:
        super().__init__()
        self.users = Embedding(num_users, 6)
        self.items = Embedding(num_items, 6)

    def forward(self, a: int, b: int) -> None:
        raise AssertionError('never called')


class Contract(Plain):
    """Follows the public contract without the library's classes."""

    def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        assert isinstance(data, HeteroData)
        return self.users.weight, self.items.weight


class WithLoss(Contract):
    def loss(self, data, batch):  # type: ignore[no-untyped-def]
        assert isinstance(data, HeteroData)
        return self.users(batch[0]).square().mean(), {'own': 1}


class Hetero(Module):
    def __init__(self) -> None:
        super().__init__()
        convs = {edge: SAGEConv((-1, -1), 5) for edge in METADATA[1]}
        self.conv = HeteroConv(convs)

    def forward(self, x_dict, edge_index_dict):  # type: ignore[no-untyped-def]
        return self.conv(x_dict, edge_index_dict)


def data_with_features() -> HeteroData:
    data = random_data()
    data['user'].x, data['item'].x = torch.randn(30, 7), torch.randn(20, 9)
    return data


def embed_plain(model: Plain, data: HeteroData) -> tuple[Tensor, Tensor]:
    assert isinstance(data, HeteroData)
    return model.users.weight, model.items.weight


def test_own_models_are_returned_as_they_are() -> None:
    model = LightGCN(3, 4)
    assert as_recommender(model) is model


def test_homogeneous_model() -> None:
    data = random_data()
    theirs = PyGLightGCN(50, 8, num_layers=2)
    model = as_recommender(theirs)
    assert model.out_dim == 8
    user, item = data[RATES].edge_index
    edge_index = torch.stack([user, item + 30])
    edge_index = torch.cat([edge_index, edge_index.flip(0)], dim=1)
    out = theirs.get_embedding(edge_index)
    assert torch.allclose(torch.cat(model(data)), out, atol=1e-6)
    assert model.embedding_names() == ('model.embedding.weight',)
    assert repr(model) == 'ForeignModel(LightGCN)'


@pytest.mark.parametrize(
    'model',
    [to_hetero(GraphSAGE((-1, -1), 5, num_layers=2), METADATA), Hetero()],
    ids=['to_hetero', 'HeteroConv'],
)
def test_heterogeneous_model(model: Module) -> None:
    data = data_with_features()
    wrapped = as_recommender(model)
    loss, terms = wrapped.loss(data, random_batch(data))
    assert set(terms) == {'bpr'}
    loss.backward()
    user, item = wrapped(data)
    edge_index = data[RATES].edge_index
    expected = model(
        data.x_dict,
        {METADATA[1][0]: edge_index, METADATA[1][1]: edge_index.flip(0)},
    )
    assert torch.allclose(user, expected['user'], atol=1e-6)
    assert torch.allclose(item, expected['item'], atol=1e-6)


def test_stored_reverse_edges_are_not_used() -> None:
    data = data_with_features()
    model = as_recommender(Hetero())
    user, _ = model(data)
    leaky = data.clone()
    everything = torch.cartesian_prod(torch.arange(20), torch.arange(30)).t()
    leaky['item', 'rev_rates', 'user'].edge_index = everything
    with pytest.warns(UserWarning, match=r"'bidirectional'.*of 600 that are"):
        assert torch.equal(model(leaky)[0], user)


@pytest.mark.parametrize('has_held_out', [False, True])
def test_stored_reverse_edges_that_lose_nothing(has_held_out: bool) -> None:
    data = data_with_features()
    pairs = [data[RATES].edge_index]
    if has_held_out:
        pairs += [data[RATES][f'{s}_edge_label_index'] for s in ('val', 'test')]
    data['item', 'rev_rates', 'user'].edge_index = torch.cat(pairs, 1).flip(0)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        as_recommender(Hetero())(data)


def test_sampled_in_one_direction() -> None:
    """As many edges of each; told once for one and the same graph."""
    data = data_with_features()
    del data[RATES].val_edge_label_index, data[RATES].test_edge_label_index
    edge_index = data[RATES].edge_index
    data[RATES].edge_index = edge_index[:, ::2].clone()
    data['item', 'rev_rates', 'user'].edge_index = edge_index[:, 1::2].flip(0)
    model = as_recommender(Hetero())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        for _ in range(3):
            model.loss(data, random_batch(data))
    assert len(caught) == 1
    assert "subgraph_type='bidirectional'" in str(caught[0].message)


EDGE_HELP = r'pass embed=callable.*\(got '


class OnEdges(Module):
    """What :func:`to_hetero` is given."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = GraphConv((-1, -1), 5)

    def forward(self, x, edge_index, edge_weight=None):  # type: ignore[no-untyped-def]
        return self.conv(x, edge_index, edge_weight)


class OnRequiredEdges(OnEdges):
    def forward(self, x, edge_index, edge_weight):  # type: ignore[no-untyped-def]
        return self.conv(x, edge_index, edge_weight)


class HeteroOnEdges(Hetero):
    def forward(self, x_dict, edge_index_dict, edge_weight_dict=None):  # type: ignore[no-untyped-def]
        return self.conv(x_dict, edge_index_dict)


def with_edge_dim() -> Module:
    return GATConv((-1, -1), 5, edge_dim=1, add_self_loops=False)


@pytest.mark.parametrize(
    'make',
    [
        lambda: to_hetero(OnRequiredEdges(), METADATA),
        lambda: HeteroConv({edge: with_edge_dim() for edge in METADATA[1]}),
        lambda: to_hetero(
            GAT((-1, -1), 5, 1, edge_dim=1, add_self_loops=False), METADATA
        ),
    ],
    ids=['required', 'HeteroConv', 'GAT'],
)
def test_edge_attributes_that_are_not_passed(make: Any) -> None:
    with pytest.raises(TypeError, match=EDGE_HELP):
        as_recommender(make())


@pytest.mark.parametrize(
    'make',
    [lambda: to_hetero(OnEdges(), METADATA), HeteroOnEdges],
    ids=['to_hetero', 'own'],
)
def test_optional_edge_attributes(make: Any) -> None:
    """Refused where the data has them."""
    data = data_with_features()
    model = as_recommender(make())
    assert model(data)[0].shape == (30, 5)
    num_edges = data[RATES].edge_index.size(1)
    data[RATES].edge_weight = torch.rand(num_edges)
    with pytest.raises(TypeError, match=r"takes 'edge_weight'.*pass embed="):
        model(data)
    # The layers of this one take none.
    sage = to_hetero(GraphSAGE((-1, -1), 5, num_layers=2), METADATA)
    assert as_recommender(sage)(data)[0].shape == (30, 5)


def test_embed() -> None:
    data = random_data()
    model = as_recommender(Plain(), embed=embed_plain)
    user, item = model(data)
    assert user.shape == (30, 6)
    assert item.shape == (20, 6)
    # What was moved or built once is unpacked again for the callable.
    assert torch.equal(model(as_graph(data))[0], user)


def test_contract_without_our_classes() -> None:
    data = random_data()
    model = as_recommender(Contract())
    assert set(model.loss(data, random_batch(data))[1]) == {'bpr'}


def test_own_loss() -> None:
    data = random_data()
    batch = random_batch(data)
    plain = WithLoss()
    model = as_recommender(plain)
    loss, terms = model.loss(as_graph(data), batch)
    assert loss == plain.loss(data, batch)[0]
    assert terms == {'own': 1}  # what it returns is passed on
    terms = model.step(as_graph(data), batch).terms
    assert terms.keys() == {'base'}
    assert terms['base'] == loss


def test_batch_of_an_own_loss_follows_the_model() -> None:
    class Told(WithLoss):
        def loss(self, data, batch):  # type: ignore[no-untyped-def]
            self.seen = [
                x.device.type for x in (data[RATES].edge_index, *batch)
            ]
            return super().loss(data, batch)

    data, plain = random_data(), Told().to('meta')
    loss, _ = as_recommender(plain).loss(data, random_batch(data))
    assert plain.seen == ['meta'] * 4
    assert loss.is_meta


def test_objective_beside_a_loss_of_its_own() -> None:
    model = as_recommender(WithLoss())
    with pytest.warns(UserWarning, match=r'WithLoss.*BCE\(\)'):
        model.objective = BCE()
    assert model.objective == BCE()  # aligners may use it
    with pytest.warns(UserWarning, match='WithLoss'):
        DaRecAlign(WithLoss(), 12).objective = BCE()
    with pytest.raises(TypeError, match='Objective'):
        model.objective = 'bce'  # type: ignore[assignment]


def test_loss_that_is_built_in() -> None:
    class Holds(Contract):
        def __init__(self) -> None:
            super().__init__()
            self.loss = torch.nn.functional.logsigmoid

    with pytest.warns(UserWarning, match=r"'Holds.loss' is not used"):
        model = as_recommender(Holds())
    terms = model.loss(random_data(), random_batch(random_data()))[1]
    assert set(terms) == {'bpr'}


def test_objective_of_a_module_without_a_loss() -> None:
    model = as_recommender(Contract())
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        model.objective = BCE()
    assert model.objective == BCE()


def test_loss_of_one_element() -> None:
    class Row(Contract):
        def loss(self, data, batch):  # type: ignore[no-untyped-def]
            return self.users(batch[0]).square().mean().reshape(1)

    class Many(Contract):
        def loss(self, data, batch):  # type: ignore[no-untyped-def]
            return self.users(batch[0])

    data = random_data()
    batch = random_batch(data)
    assert as_recommender(Row()).loss(data, batch)[0].dim() == 0
    with pytest.raises(ValueError, match=r"'Many.loss' needs to give one"):
        as_recommender(Many()).loss(data, batch)


def test_attributes_named_like_methods() -> None:
    model = Contract()
    model.loss, model.renew = 'hinge', True  # type: ignore[assignment]
    data = random_data()
    wrapped = as_recommender(model)
    wrapped.renew(as_graph(data), 1, 0)
    assert set(wrapped.loss(data, random_batch(data))[1]) == {'bpr'}


def test_loss_of_another_form() -> None:
    class Other(Contract):
        def loss(self, pos_walk, neg_walk):  # type: ignore[no-untyped-def]
            raise AssertionError('never called')

    data = random_data()
    with pytest.warns(UserWarning, match=r"'Other.loss' is not used.*neg_walk"):
        model = as_recommender(Other())
    assert set(model.loss(data, random_batch(data))[1]) == {'bpr'}


def test_renew_and_reset_are_passed_on() -> None:
    seen = []

    class Renewing(Contract):
        def renew(self, data, epoch, step):  # type: ignore[no-untyped-def]
            seen.append((epoch, step))

    model = as_recommender(Renewing())
    data = random_data()
    model.renew(as_graph(data), 3, 1)
    model.renew(data, 3, 2)
    assert seen == [(3, 1), (3, 2)]
    before = model.model.users.weight.clone()
    model.reset_parameters()
    assert not torch.equal(model.model.users.weight, before)


def test_unknown_model() -> None:
    with pytest.raises(TypeError, match=r"'Plain' cannot.*pass embed="):
        as_recommender(Plain())
    with pytest.raises(TypeError, match=r"needs to be a 'torch.nn.Module'"):
        as_recommender(3)  # type: ignore[arg-type]


def test_missing_features() -> None:
    with pytest.raises(TypeError, match=r"reads data\['user'\].x"):
        as_recommender(Hetero())(random_data())
    graph = BipartiteGraph(random_data()[RATES].edge_index, 30, 20)
    with pytest.raises(TypeError, match=r"reads data\['user'\].x"):
        as_recommender(Hetero())(graph)


@pytest.mark.parametrize(
    ('out', 'error', 'match'),
    [
        (None, TypeError, 'needs to give a pair'),
        (torch.zeros(50, 3), TypeError, 'needs to give a pair'),
        (
            (torch.zeros(20, 3), torch.zeros(30, 3)),
            ValueError,
            r'one row per user; the data has 30 \(got shape \(20, 3\)',
        ),
        ((torch.zeros(30), torch.zeros(20)), ValueError, 'matrix'),
        ((torch.zeros(30, 2), 'items'), TypeError, 'needs to give a pair'),
    ],
)
def test_bad_embeddings(out: object, error: type, match: str) -> None:
    model = ForeignModel(Linear(2, 2), lambda m, data: out)  # type: ignore[arg-type, return-value]
    with pytest.raises(error, match=match):
        model(random_data())


@pytest.mark.parametrize('num', [6, 49, 51])
def test_wrong_number_of_nodes(num: int) -> None:
    model = as_recommender(PyGLightGCN(num, 8, num_layers=1))
    with pytest.raises(ValueError, match=rf'needs 50 nodes, .*got {num}'):
        model(random_data())


def test_hetero_model_that_returns_no_dictionary() -> None:
    class Wrong(Module):
        def forward(self, x_dict, edge_index_dict):  # type: ignore[no-untyped-def]
            return x_dict['user']

    with pytest.raises(TypeError, match=r"pair .* or a dictionary with 'user'"):
        as_recommender(Wrong())(data_with_features())


def test_hetero_conv_itself() -> None:
    data = data_with_features()
    convs = {edge: SAGEConv((-1, -1), 5) for edge in METADATA[1]}
    model = as_recommender(HeteroConv(convs))
    assert [x.shape for x in model(data)] == [(30, 5), (20, 5)]


def test_dictionary_of_embeddings() -> None:
    class Returns(Contract):
        def forward(self, data):  # type: ignore[no-untyped-def, override]
            return {'item': self.items.weight, 'user': self.users.weight}

    user, item = as_recommender(Returns())(random_data())
    assert (user.size(0), item.size(0)) == (30, 20)


def test_loss_without_terms() -> None:
    class OnlyLoss(Contract):
        def loss(self, data, batch):  # type: ignore[no-untyped-def]
            return self.users(batch[0]).square().mean()

    data, model = random_data(), as_recommender(OnlyLoss())
    loss, terms = model.loss(data, random_batch(data))
    assert terms == {'base': loss}
    assert model.step(as_graph(data), random_batch(data)).terms['base'] == loss


def test_get_embedding_of_a_pair() -> None:
    class Pair(Plain):
        def get_embedding(self, edge_index):  # type: ignore[no-untyped-def]
            return self.users.weight, self.items.weight

    model = Pair()
    user, item = as_recommender(model)(random_data())
    assert user is model.users.weight
    assert item is model.items.weight


def test_get_embedding_of_another_kind() -> None:
    class Named(Contract):
        def get_embedding(self, name):  # type: ignore[no-untyped-def]
            raise AssertionError('never called')

    assert as_recommender(Named())(random_data())[0].shape == (30, 6)


class SideBySide(Module):
    """Layers side by side: wider than its attribute says."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding_dim = 6
        self.embedding = Embedding(50, 6)

    def get_embedding(self, edge_index):  # type: ignore[no-untyped-def]
        return self.embedding.weight.repeat(1, 2)


@pytest.mark.parametrize(
    'align',
    [
        DaRecAlign,
        lambda model, dim: DaRecAlign(model, dim, preset='paper'),
        RLMRecConAlign,
        RLMRecGenAlign,
        KARAlign,
        CTRLAlign,
        ControlRecAlign,
    ],
)
def test_get_embedding_of_another_width(align: Any) -> None:
    data, model = random_data(), align(SideBySide(), 12)
    model.loss(data, random_batch(data))
    assert model(data)[0].size(1) >= 12


def test_width_is_not_guessed_from_attributes() -> None:
    model = Plain()
    model.embedding_dim = 6
    wide = as_recommender(
        model,
        embed=lambda m, data: (
            m.users.weight.repeat(1, 2),
            m.items.weight.repeat(1, 2),
        ),
    )
    assert wide.out_dim is None
    data = random_data()
    for align in (
        DaRecAlign,
        RLMRecConAlign,
        RLMRecGenAlign,
        KARAlign,
        CTRLAlign,
        ControlRecAlign,
    ):
        align(wide, 12).loss(data, random_batch(data))


def test_can_be_pickled() -> None:
    model = as_recommender(Contract())
    other = pickle.loads(pickle.dumps(model))
    data = random_data()
    assert torch.equal(other(data)[0], model(data)[0])


def test_embed_that_is_not_callable() -> None:
    with pytest.raises(TypeError, match=r"'embed' needs.*\(got 'str'\)"):
        as_recommender(Plain(), embed='forward')  # type: ignore[arg-type]


def aligned() -> DaRecAlign:
    return DaRecAlign(LightGCN.from_data(random_data(), 6), 12)


@pytest.mark.parametrize(
    'make', [aligned, lambda: PyGLightGCN(50, 6, 2), Contract, Hetero]
)
@pytest.mark.parametrize(
    'wrap',
    [
        DataParallel,
        lambda model: torch.compile(model, backend='eager'),
        lambda model: DataParallel(torch.compile(model, backend='eager')),
    ],
    ids=['DataParallel', 'compile', 'both'],
)
def test_inside_of_what_torch_wraps(make: Any, wrap: Any) -> None:
    data, model = data_with_features(), make()
    expected = compute_embeddings(model, data)
    wrapped = wrap(model)
    if isinstance(model, DaRecAlign):
        assert as_recommender(wrapped) is model
    for x, y in zip(compute_embeddings(wrapped, data), expected, strict=True):
        torch.testing.assert_close(x, y)
    fit(wrapped, data, epochs=1, batch_size=64, progress=False)
    torch.compiler.reset()


def test_torch_wrapping_what_cannot_be_wrapped() -> None:
    with pytest.raises(TypeError, match=r"'Plain' cannot be wrapped as it is"):
        as_recommender(DataParallel(Plain()))


@pytest.mark.parametrize(
    'make',
    [
        lambda loss: {'a': loss},
        lambda loss: {'a': loss.item()},
        lambda loss: {'a': loss.detach().view(1)},
        lambda loss: {'a': loss.detach(), 'loss': 100 * loss.detach()},
        lambda loss: {'a': 1, 'b': None},
    ],
)
def test_terms_of_any_form(make: Any) -> None:
    class Own(Contract):
        def loss(self, data: Any, batch: Any) -> Any:
            user, item = self(data)
            loss = bpr_loss(user, item, batch)
            return loss, make(loss)

    data = random_data()
    result = fit(Own(), data, epochs=2, progress=False)
    row = result.history[0]
    assert {'loss', 'a'} <= row.keys()
    assert 0 < row['loss'] < 5
    terms = as_recommender(Own()).loss(data, random_batch(data))[1]
    assert set(terms) == {'a'}
    assert not terms['a'].requires_grad


@pytest.mark.parametrize('out', [{'a': 1}, (1, 2, 3), 0.5, (0.5, {})])
def test_losses_of_no_form(out: Any) -> None:
    class Own(Contract):
        def loss(self, data: Any, batch: Any) -> Any:
            return out

    data = random_data()
    with pytest.raises(TypeError, match='needs to return the loss'):
        as_recommender(Own()).loss(data, random_batch(data))


def test_reset_of_parameters_without_a_method() -> None:
    class Bare(Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_parameter('bias', None)
            self.user = torch.nn.Parameter(torch.randn(30, 4))
            self.item = torch.nn.Parameter(torch.randn(20, 4))

        def forward(self, data: HeteroData) -> tuple[Tensor, Tensor]:
            return self.user, self.item

    model = DaRecAlign(Bare(), 12)
    model(random_data())
    with pytest.raises(TypeError, match=r"own \['user', 'item'\] and no"):
        model.reset_parameters()


def test_average_of_weights() -> None:
    data = random_data()
    inner = DaRecAlign(PyGLightGCN(50, 8, 1), 12)
    inner(data)
    averaged = AveragedModel(inner)
    assert as_recommender(averaged) is averaged.module


class Normalising(Module):
    """Writes to its tables in each step, as models of translations do."""

    def __init__(self) -> None:
        super().__init__()
        self.user = Embedding(30, 8)
        self.item = Embedding(20, 8)

    def forward(self, data):
        with torch.no_grad():
            for table in (self.user, self.item):
                unit = torch.nn.functional.normalize(table.weight, dim=-1)
                table.weight.copy_(unit)
        return self.user.weight, self.item.weight


def test_tables_that_a_model_writes_to() -> None:
    data = random_data()
    model = DaRecAlign(Normalising(), 12)
    loss, _ = model.loss(data, random_batch(data))
    loss.backward()
    assert model.model.model.user.weight.grad.any()


class Extra(Module):
    """Has a state that is no tensor, and complex parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.user, self.item = (
            torch.nn.Parameter(torch.randn(n, 4, dtype=torch.cfloat))
            for n in (30, 20)
        )
        self.calls = 0

    def forward(self, data):
        self.calls += self.training
        return tuple(
            torch.view_as_real(x).flatten(1) for x in self.parameters()
        )

    def get_extra_state(self):
        return {'calls': self.calls}

    def set_extra_state(self, state) -> None:
        self.calls = state['calls']


def test_training_with_other_state() -> None:
    data = random_data()
    model = Extra()
    fit(model, data, epochs=2, batch_size=64, progress=False)
    assert model.calls > 0


@pytest.mark.parametrize('name', ['rev_rates', 'rated_by'])
def test_reverse_relation_of_another_name(name: str) -> None:
    data = random_data()
    for kind in ('user', 'item'):
        data[kind].x = torch.randn(data[kind].num_nodes, 4)
    relations = [RATES, ('item', name, 'user'), ('user', 'knows', 'user')]
    data[relations[2]].edge_index = torch.tensor([[0, 1], [1, 2]])
    model = as_recommender(
        HeteroConv({r: SAGEConv((4, 4), 8) for r in relations})
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        model(data)
        model(data)
    texts = [str(w.message) for w in caught if 'in reverse' in str(w.message)]
    assert len(texts) == (name != 'rev_rates')
    assert all("('item', 'rated_by', 'user')" in text for text in texts)


class SparseLookup(Module):
    """Has sparse gradients without a module that says so."""

    def __init__(self) -> None:
        super().__init__()
        self.user, self.item = Embedding(30, 8), Embedding(20, 8)

    def forward(self, data):
        return tuple(
            torch.nn.functional.embedding(
                torch.arange(len(table.weight)), table.weight, sparse=True
            )
            for table in (self.user, self.item)
        )


def test_sparse_lookups_without_a_sparse_module() -> None:
    data = random_data()
    model = DaRecAlign(SparseLookup(), 12)
    model.loss(data, random_batch(data))[0].backward()
    assert model.model.model.user.weight.grad.layout == torch.strided
