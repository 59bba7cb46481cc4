import json
from pathlib import Path

import accuracy_runs
import data_sets
import pytest
import torch
from cold import (
    METRIC,
    OURS,
    content,
    degree,
    kriging,
    main,
    methods,
    nearest,
    popularity,
    table,
)
from cold_split import KINDS, Kind, hold_out, recall
from conformance.graphs import RATES, random_data, telling_data

from pyg_darec import DaRecAlign
from pyg_darec.as_graph import as_graph
from pyg_darec.graph import BipartiteGraph
from pyg_darec.metrics import compare, holm
from pyg_darec.nn.functional import normalize
from pyg_darec.nn.models import LightGCN


def test_hold_out_keeps_nothing_of_cold_items() -> None:
    """What they are like and who bought them changes nothing but labels."""
    data = random_data(num_items=40, num_edges=300)
    graph = as_graph(data)
    split = hold_out(graph, 'item', 0.2, seed=3)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(3))
    cold, warm = order[:8].sort().values, order[8:].sort().values
    assert split.warm.num_items == 32
    assert torch.equal(split.cold_x, graph.llm_x['item'][cold])
    assert torch.equal(split.warm.llm_x['item'], graph.llm_x['item'][warm])
    assert split.seen.size(1) == 0
    known = set(zip(*graph.edge_index.tolist(), strict=True))
    pairs = torch.stack(
        [split.warm.edge_index[0], warm[split.warm.edge_index[1]]]
    )
    kept = set(zip(*pairs.tolist(), strict=True))
    assert kept == {(u, i) for u, i in known if i in warm}

    every = [graph.edge_index, *graph.edge_label_index.values()]
    every = set(zip(*torch.cat(every, dim=1).tolist(), strict=True))
    warm_users = {u for u, _ in kept}
    label = torch.stack([split.label[0], cold[split.label[1]]])
    assert set(zip(*label.tolist(), strict=True)) == {
        (u, i) for u, i in every if i in cold and u in warm_users
    }

    data['item'].llm_x = data['item'].llm_x.index_fill(0, cold, 7.0)
    again = hold_out(as_graph(data), 'item', 0.2, seed=3)
    assert torch.equal(again.warm.llm_x['user'], split.warm.llm_x['user'])
    norm = split.warm.llm_x['user'].norm(dim=1)
    has_items = split.warm.user_degree > 0
    torch.testing.assert_close(norm, has_items.to(norm))


def test_hold_out_of_users() -> None:
    """Their profiles say what they did before, and the rest is looked for."""
    graph = as_graph(random_data(num_users=40, num_edges=300))
    split = hold_out(graph, 'user', 0.2, seed=3)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(3))
    cold, warm = order[:8].sort().values, order[8:].sort().values
    assert (split.warm.num_users, split.warm.num_items) == (32, 20)
    assert torch.equal(split.cold_x, graph.llm_x['user'][cold])
    assert torch.equal(split.warm.llm_x['user'], graph.llm_x['user'][warm])
    assert torch.equal(split.warm.llm_x['item'], graph.llm_x['item'])

    def pairs(edges: torch.Tensor, users: torch.Tensor) -> set[tuple[int, int]]:
        user, item = edges.tolist()
        return {(int(users[u]), i) for u, i in zip(user, item, strict=True)}

    every = torch.arange(40)
    trained, held_out = (
        pairs(graph.edge_index, every),
        pairs(torch.cat(list(graph.edge_label_index.values()), 1), every),
    )
    assert pairs(split.warm.edge_index, warm) == {
        (u, i) for u, i in trained if u in warm
    }
    assert pairs(split.label, cold) == {
        (u, i) for u, i in held_out if u in cold
    }
    assert pairs(split.seen, cold) == {(u, i) for u, i in trained if u in cold}
    assert pairs(split.warm.edge_label_index['val'], warm) == {
        (u, i)
        for u, i in pairs(graph.edge_label_index['val'], every)
        if u in warm
    }


@pytest.mark.parametrize('kind', ['item', 'user'])
def test_recall(kind: Kind) -> None:
    graph = as_graph(random_data(num_users=100, num_items=200))
    split = hold_out(graph, kind, 0.2, seed=0)
    score = torch.zeros((100, 40) if kind == 'item' else (20, 200))
    score[split.label[0], split.label[1]] = 1
    assert recall(score, split) == 1
    assert recall(-score, split) == 0
    score[split.seen[0], split.seen[1]] = 2
    assert recall(score, split) == 1


def test_content_that_tells() -> None:
    """Cold items of a user's own taste come before those of the others, and
    to cold users those of theirs.
    """
    graph = as_graph(telling_data())
    split = hold_out(graph, 'item', 0.4, seed=0)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    taste, users = order[:8].sort().values % 5, split.label[0].unique()
    label = (users.unsqueeze(1) % 5 == taste).nonzero().t()
    wanted = torch.zeros(30, 8, dtype=torch.bool)
    wanted[users[label[0]], label[1]] = True
    for score in (content(split), nearest(split, 10, mean=True)):
        own = score[users][wanted[users]].mean()
        assert own > score[users][~wanted[users]].mean() + 0.1

    split = hold_out(graph, 'user', 0.4, seed=0)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    wanted = order[:12].sort().values.unsqueeze(1) % 5 == torch.arange(20) % 5
    for score in (content(split), nearest(split, 10, mean=True)):
        assert score[wanted].mean() > score[~wanted].mean() + 0.1


@pytest.mark.parametrize('kind', ['item', 'user'])
def test_nearest_weighs_interactions(kind: Kind) -> None:
    """As a loop over the cold nodes does it."""
    split = hold_out(as_graph(random_data()), kind, 0.2, seed=0)
    x = split.warm.llm_x[kind]
    x, center = normalize(x), normalize(x).mean(dim=0)
    own = split.interactions if kind == 'user' else split.interactions.t()
    for mean in (False, True):
        score = nearest(split, 3, mean)
        score = score if kind == 'user' else score.t()
        for found, row in zip(score, normalize(split.cold_x), strict=True):
            cosine = normalize(x - center) @ normalize((row - center)[None])[0]
            near = cosine.argsort(descending=True)[:3]
            weight = cosine[near].clamp(min=0)
            if mean:
                weight = weight / weight.sum().clamp(min=1e-12)
            torch.testing.assert_close(found, weight @ own[near])


def test_popularity() -> None:
    split = hold_out(as_graph(random_data()), 'user', 0.2, seed=0)
    wanted = split.interactions.sum(dim=0)
    assert all(torch.equal(row, wanted) for row in popularity(split, 0))


@pytest.mark.parametrize('kind', ['item', 'user'])
def test_kriging_is_what_darec_does_with_new_nodes(kind: Kind) -> None:
    data = random_data(num_users=40, num_items=40, num_edges=60)
    data[kind].llm_x[:5] = 0  # without a profile
    split = hold_out(as_graph(data), kind, 0.2, seed=0)
    assert (degree(split) == 0).any()
    model = DaRecAlign(LightGCN.from_data(split.warm, 4), 12).eval()
    with torch.no_grad():
        pair = model(split.warm)
    wanted = model.embed_profiles(split.cold_x, kind)
    torch.testing.assert_close(kriging(split, pair[split.axis]), wanted)


def test_p_values_are_corrected(tmp_path: Path) -> None:
    """For all that DaRec was compared with."""
    values = {
        'random': [0.1, 0.12, 0.09],
        'content': [0.3, 0.31, 0.33],
        OURS: [0.32, 0.35, 0.34],
    }
    for method, recalls in values.items():
        (tmp_path / method).mkdir()
        for seed, value in enumerate(recalls):
            path = tmp_path / method / f'seed-{seed}.json'
            run = {'method': method, 'seed': seed}
            path.write_text(json.dumps({'run': run, METRIC: value}))
    x = {m: torch.tensor(v).unsqueeze(1) for m, v in values.items()}
    raw = [
        compare(x[OURS], x[m], over='seeds').p_value
        for m in ('random', 'content')
    ]
    lines = table('made-up', 'item', tmp_path).splitlines()[2:]
    assert [line.split(' | ')[-1] for line in lines] == [
        *(f'{p:.2g} |' for p in holm(raw)),
        ' |',
    ]
    assert holm(raw) != raw


def test_runs_and_resumes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = random_data(num_users=90, num_items=220, num_edges=900)
    each = torch.arange(90)  # of all users, held out or not
    data[RATES].val_edge_label_index = torch.stack([each, each])
    monkeypatch.setattr(data_sets, 'OnlineRetail', lambda root: [data])
    words = ['--output', str(tmp_path), '--epochs', '2', '--seeds', '0', '1']
    words += ['--dim', '4']
    hashed = []

    def fingerprint(graph: BipartiteGraph) -> str:
        hashed.append(graph)
        return 'same'

    monkeypatch.setattr(accuracy_runs, 'fingerprint', fingerprint)
    main(words)
    assert len(hashed) == 1
    table = (tmp_path / 'table.md').read_text()
    assert table in capsys.readouterr().out
    for kind in KINDS:
        for method in methods(kind):
            assert f'| {method} | 2 | 0.' in table

    (tmp_path / 'online_retail' / 'item' / OURS / 'seed-1.json').unlink()
    main(words)
    assert (tmp_path / 'table.md').read_text() == table
    with pytest.raises(ValueError, match='other settings'):
        main([*words, '--lr', '0.1'])
