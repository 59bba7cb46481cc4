import numpy as np
import pandas as pd
import pytest
import torch
from conformance.graphs import random_data
from torch_geometric.data import HeteroData

from pyg_darec.datasets import OnlineRetail
from pyg_darec.graph import EDGE_TYPE
from pyg_darec.profiles import audit_profiles, encode_profiles, hash_split
from pyg_darec.transforms import SplitInteractions


def make_data(num_users=120, num_items=240, dim=16):
    """Users choose items near their taste; items have names and profiles."""
    g = torch.Generator().manual_seed(0)
    taste = torch.randn(num_users, dim, generator=g)
    item = torch.randn(num_items, dim, generator=g)
    score = taste @ item.t() / 4 + torch.randn(
        score_shape := (num_users, num_items), generator=g
    )
    user = torch.arange(num_users).repeat_interleave(20)
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = score_shape
    data[EDGE_TYPE].edge_index = torch.stack(
        [user, score.topk(20).indices.flatten()]
    )
    data = SplitInteractions('random')(data)
    data['item'].llm_x = item
    return data


def describe(data, *indices):
    """Profiles that are a noisy mean of item profiles, and name items."""
    x = torch.zeros(data['user'].num_nodes, data['item'].llm_x.size(1))
    texts = [''] * data['user'].num_nodes
    for index in indices:
        x.index_add_(0, index[0], data['item'].llm_x[index[1]])
        for user, item in index.t().tolist():
            texts[user] += f'buys thing number {item}, '
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    data['user'].llm_x = x + 0.5 * noise
    data['user'].profile = texts
    return data


@pytest.fixture(scope='module')
def clean():
    data = make_data()
    return describe(data, data[EDGE_TYPE].edge_index)


@pytest.fixture(scope='module')
def leaky():
    data = make_data()
    store = data[EDGE_TYPE]
    return describe(
        data,
        store.edge_index,
        store.val_edge_label_index,
        store.test_edge_label_index,
    )


NAMES = [f'thing number {n}' for n in range(240)]


def test_clean_profiles(clean):
    audit = audit_profiles(clean, names=NAMES)
    assert audit.is_clean
    assert audit.made_from_training == {'user': 'unknown', 'item': 'unknown'}
    assert audit.mentions == []
    assert abs(audit.ranking.share) < 0.25
    assert audit.ranking.training > 0.6
    assert 'nothing found' in str(audit)


def test_planted_leakage(leaky):
    audit = audit_profiles(leaky, names=NAMES)
    assert audit.is_clean is False
    assert audit.ranking.is_suspicious
    assert audit.ranking.share == pytest.approx(1, abs=0.2)
    assert audit.ranking.p_value < 0.01
    assert audit.mentions_are_suspicious
    held_out = leaky[EDGE_TYPE].test_edge_label_index.size(1)
    held_out += leaky[EDGE_TYPE].val_edge_label_index.size(1)
    assert len(audit.unexplained) == held_out
    assert 'LEAKAGE' in str(audit)
    assert f'{held_out} (0.0 by chance)' in str(audit)


def test_embeddings_or_names_alone_tell(leaky):
    x = {'user': torch.randn(120, 16), 'item': leaky['item'].llm_x}
    audit = audit_profiles(leaky, x, NAMES)
    assert not audit.ranking.is_suspicious
    assert audit.is_clean is False
    audit = audit_profiles(leaky)
    assert audit.mentions is None
    assert audit.is_clean is False


@pytest.mark.parametrize('seed', range(3))
def test_profiles_that_know_nothing(clean, seed):
    g = torch.Generator().manual_seed(10 + seed)
    x = {'user': torch.randn(120, 16, generator=g), 'item': clean['item'].llm_x}
    ranking = audit_profiles(clean, x, seed=seed).ranking
    assert ranking.p_value > 0.01
    assert ranking.held_out == pytest.approx(0.5, abs=0.03)
    assert not ranking.is_suspicious


def test_origin_of_a_store(clean, leaky, tmp_path):
    rows = iter(clean['user'].llm_x)
    encode_profiles(
        clean['user'].profile,
        tmp_path,
        lambda texts: [next(rows) for _ in texts],
        encoder_key='rows',
        split=clean,
    )
    audit = audit_profiles(clean, {'user': tmp_path})
    assert audit.made_from_training == {'user': 'yes', 'item': 'unknown'}
    assert audit.is_clean
    other = clean.clone()
    other[EDGE_TYPE].edge_index = other[EDGE_TYPE].edge_index[:, 1:]
    audit = audit_profiles(other, {'user': tmp_path})
    assert audit.made_from_training['user'] == 'no'
    assert audit.is_clean is False


def test_origin_of_what_the_nodes_have(clean):
    data = clean.clone()
    data['user'].profile_split = hash_split(data)
    audit = audit_profiles(data)
    assert audit.made_from_training == {'user': 'yes', 'item': 'unknown'}
    # Of what is passed beside them, nodes say nothing.
    audit = audit_profiles(data, {'user': clean['user'].llm_x})
    assert audit.made_from_training['user'] == 'unknown'
    data[EDGE_TYPE].edge_index = data[EDGE_TYPE].edge_index[:, 1:]
    audit = audit_profiles(data)
    assert audit.made_from_training['user'] == 'no'
    assert audit.is_clean is False


@pytest.mark.parametrize('kind', [list, torch.tensor, np.array])
def test_a_store_is_matched_by_id(clean, tmp_path, kind):
    x, rows = clean['user'].llm_x, torch.randperm(120)
    order = iter(rows.tolist())
    encode_profiles(
        [clean['user'].profile[row] for row in rows],
        tmp_path,
        lambda texts: [x[next(order)] for _ in texts],
        ids=[1000 + row for row in rows.tolist()],
        encoder_key='rows',
    )
    data = clean.clone()
    with pytest.raises(ValueError, match=r"'user' is matched by id.*got None"):
        audit_profiles(data, {'user': tmp_path})
    data['user'].id = kind(list(range(1000, 1120)))
    expected = audit_profiles(data).ranking
    assert audit_profiles(data, {'user': tmp_path}).ranking == expected


def test_nothing_to_look_at(clean):
    data = clean.clone()
    del data['user'].llm_x
    audit = audit_profiles(data)
    assert audit.is_clean is None
    assert 'nothing to look at' in str(audit)


def test_ids_are_named(leaky):
    data = leaky.clone()
    data['user'].id = [f'u{n}' for n in range(120)]
    data['item'].id = torch.arange(1000, 1240)
    names = pd.Series(NAMES, index=range(len(NAMES), 0, -1))
    mention = audit_profiles(data, {}, names).mentions[0]
    assert mention.user == 'u0'
    assert mention.name == NAMES[mention.item - 1000]


def test_wrong_input(clean):
    with pytest.raises(TypeError, match="got 'int'"):
        audit_profiles(3)
    with pytest.raises(ValueError, match=r'names needs .*got 3 for 240'):
        audit_profiles(clean, names=NAMES[:3])
    with pytest.raises(ValueError, match=r'embeddings of users.*120 rows'):
        audit_profiles(clean, {'user': torch.ones(3, 16)})
    with pytest.raises(ValueError, match=r'one width.*got 3 and 16'):
        audit_profiles(clean, {'user': torch.ones(120, 3)})
    data = clean.clone()
    del data[EDGE_TYPE].test_edge_label_index
    with pytest.raises(ValueError, match=r"no 'test_edge_label_index'"):
        audit_profiles(data)


@pytest.fixture(scope='module')
def retail(tmp_path_factory):
    return OnlineRetail(tmp_path_factory.mktemp('retail'))[0]


def test_bundled_profiles_are_clean(retail):
    audit = audit_profiles(retail, names=retail['item'].profile, num_pairs=500)
    assert audit.is_clean
    assert audit.ranking.training > 0.6
    assert audit.unexplained == []


def test_leakage_in_real_data(retail):
    store, item = retail[EDGE_TYPE], retail['item'].llm_x
    every = torch.cat([store.edge_index, store.test_edge_label_index], dim=1)
    for index, is_leaky in ((store.edge_index, False), (every, True)):
        x = torch.zeros(retail['user'].num_nodes, item.size(1))
        x.index_add_(0, index[0], item[index[1]])
        x = {'user': torch.nn.functional.normalize(x)}
        ranking = audit_profiles(retail, x, num_pairs=500).ranking
        assert ranking.is_suspicious == is_leaky
        assert np.isfinite(ranking.share)


@pytest.mark.parametrize(
    ('options', 'match'),
    [
        ({'num_controls': 9}, "'num_controls' needs to be at least 10"),
        ({'num_pairs': 1}, "'num_pairs' needs to be at least 2"),
        ({'embeddings': {'users': torch.zeros(3, 3)}}, r"keys.*\['users'\]"),
    ],
)
def test_what_cannot_be_measured_is_told(options, match):
    with pytest.raises(ValueError, match=match):
        audit_profiles(random_data(), **options)


def test_embeddings_with_gradients():
    data = random_data()
    expected = audit_profiles(data)
    data['user'].llm_x.requires_grad_()
    assert str(audit_profiles(data)) == str(expected)
