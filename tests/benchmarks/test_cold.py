import json
from pathlib import Path

import accuracy_runs
import pytest
import torch
from cold import (
    BASELINES,
    METRIC,
    OURS,
    content,
    hold_out,
    item_knn,
    kriging,
    main,
    recall,
    table,
)
from conformance.graphs import random_data, telling_data

from pyg_darec import DaRecAlign
from pyg_darec.graph import as_graph
from pyg_darec.metrics import compare, holm
from pyg_darec.nn.models import LightGCN


def test_hold_out_keeps_nothing_of_cold_items() -> None:
    """What they are like and who bought them changes nothing but labels."""
    graph = as_graph(random_data(num_items=40, num_edges=300))
    split = hold_out(graph, 0.2, seed=3)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(3))
    cold, warm = order[:8], order[8:].sort().values
    assert split.warm.num_items == 32
    assert torch.equal(split.cold_x, graph.llm_x['item'][cold])
    assert torch.equal(split.warm.llm_x['item'], graph.llm_x['item'][warm])
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

    graph.llm_x['item'] = graph.llm_x['item'].index_fill(0, cold, 7.0)
    again = hold_out(graph, 0.2, seed=3)
    assert torch.equal(again.warm.llm_x['user'], split.warm.llm_x['user'])
    norm = split.warm.llm_x['user'].norm(dim=1)
    has_items = split.warm.user_degree > 0
    torch.testing.assert_close(norm, has_items.to(norm))


def test_recall() -> None:
    split = hold_out(as_graph(random_data(num_items=200)), 0.2, seed=0)
    score = torch.zeros(30, 40)
    score[split.label[0], split.label[1]] = 1
    assert recall(score, split) == 1
    assert recall(-score, split) == 0


def test_content_that_tells() -> None:
    """Cold items of a user's own taste come before those of the others."""
    graph = as_graph(telling_data())
    split = hold_out(graph, 0.4, seed=0)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    taste, users = order[:8] % 5, split.label[0].unique()
    label = (users.unsqueeze(1) % 5 == taste).nonzero().t()
    split = split._replace(label=torch.stack([users[label[0]], label[1]]))
    wanted = torch.zeros(30, 8)
    wanted[split.label[0], split.label[1]] = 1
    for score in (content(split), item_knn(split, 10, mean=True)):
        own = score[users][wanted[users] == 1].mean()
        assert own > score[users][wanted[users] == 0].mean() + 0.1


def test_kriging_is_what_darec_does_with_new_items() -> None:
    data = random_data(num_items=40, num_edges=60)
    data['item'].llm_x[:5] = 0  # without a profile
    split = hold_out(as_graph(data), 0.2, seed=0)
    assert (split.warm.item_degree == 0).any()
    model = DaRecAlign(LightGCN.from_data(split.warm, 4), 12).eval()
    with torch.no_grad():
        _, item = model(split.warm)
    wanted = model.embed_profiles(split.cold_x)
    torch.testing.assert_close(kriging(split, item), wanted)


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
            path.write_text(json.dumps({METRIC: value}))
    x = {m: torch.tensor(v).unsqueeze(1) for m, v in values.items()}
    raw = [
        compare(x[OURS], x[m], over='seeds').p_value
        for m in ('random', 'content')
    ]
    lines = table('made-up', tmp_path).splitlines()[2:]
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
    data = random_data(num_users=30, num_items=120, num_edges=600)
    monkeypatch.setattr(accuracy_runs, 'OnlineRetail', lambda root: [data])
    words = ['--output', str(tmp_path), '--epochs', '2', '--seeds', '0', '1']
    words += ['--dim', '4']
    main(words)
    table = (tmp_path / 'table.md').read_text()
    assert table in capsys.readouterr().out
    for method in (*BASELINES, OURS):
        assert f'| {method} | 2 | 0.' in table

    (tmp_path / 'online_retail' / OURS / 'seed-1.json').unlink()
    main(words)
    assert (tmp_path / 'table.md').read_text() == table
    with pytest.raises(ValueError, match='other settings'):
        main([*words, '--lr', '0.1'])
