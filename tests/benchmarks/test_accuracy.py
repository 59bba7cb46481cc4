import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import accuracy_runs
import data_sets
import pytest
import torch
from accuracy import main, shuffled, thinned
from accuracy_report import (
    Contrast,
    check_comparable,
    collect,
    contrasts,
    report,
    tables,
)
from accuracy_runs import (
    METHODS,
    OURS,
    PAPER,
    Result,
    Run,
    default_value,
    perform,
    read,
    record,
)
from accuracy_tuning import tune
from conformance.graphs import random_data
from torch.nn import functional

from pyg_darec import evaluate, fit
from pyg_darec.as_graph import as_graph
from pyg_darec.datasets import save_data
from pyg_darec.graph import BipartiteGraph
from pyg_darec.metrics import compare, holm
from pyg_darec.nn.align import RLMRecConAlign
from pyg_darec.nn.models import LightGCN

DATA = random_data(num_users=30, num_items=60, num_edges=400)
METHOD = 'RLMRec-Con'


@pytest.fixture(autouse=True)
def _small_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_sets, 'OnlineRetail', lambda root: [DATA])


def words(output: Path, *more: str) -> list[str]:
    words = ['--output', str(output), '--epochs', '2', '--seeds', '0', '1']
    words += ['--dim', '4', '--backbones', 'lightgcn']
    return [*words, '--methods', 'plain', METHOD, *more]


def test_runs_and_resumes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    no_training: Any,
) -> None:
    main(words(tmp_path))
    table = (tmp_path / 'table.md').read_text()
    assert table in capsys.readouterr().out
    assert f'| LightGCN | {METHOD} | 2 | 0.' in table
    assert (tmp_path / 'gains.png').stat().st_size > 10_000

    folder = tmp_path / 'online_retail' / 'LightGCN' / METHOD / 'seed-1'
    result = read(folder)
    torch.manual_seed(1)
    model = RLMRecConAlign(LightGCN.from_data(DATA, 4), 12)
    fit(model, DATA, epochs=2, lr=2e-3, seed=1, progress=False)
    wanted = evaluate(model, DATA, ks=(20,))
    for metric, values in result.per_user.items():
        assert result.info[metric] == wanted[metric]
        assert float(values.mean()) == wanted[metric]

    # A run that was killed before its end comes to the same.
    (folder / 'result.json').unlink()
    main(words(tmp_path))
    assert read(folder).info[accuracy_runs.METRICS[0]] == wanted['Recall@20']
    assert (tmp_path / 'table.md').read_text() == table

    monkeypatch.setattr(accuracy_runs, 'fit', no_training)
    main(words(tmp_path))
    assert (tmp_path / 'table.md').read_text() == table
    with pytest.raises(ValueError, match=r"other settings.*\['lr'\]"):
        main(words(tmp_path, '--lr', '0.1'))


def test_data_of_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, output = tmp_path / 'shop', tmp_path / 'runs'
    save_data(DATA, folder)
    main(words(output, '--folders', str(folder)))
    assert sorted(p.name for p in output.iterdir() if p.is_dir()) == ['shop']
    assert (
        f'| LightGCN | {METHOD} | 2 | 0.' in (output / 'table.md').read_text()
    )
    main(words(output, '--datasets', 'online_retail'))
    runs = [
        read(output / name / 'LightGCN' / METHOD / 'seed-0').info
        for name in ('shop', 'online_retail')
    ]
    assert runs[0]['Recall@20'] == runs[1]['Recall@20']

    with pytest.raises(SystemExit):
        main(words(output, '--folders', str(folder), str(folder)))
    assert "are called 'shop'" in capsys.readouterr().err
    bare = copy.copy(DATA)
    for kind in ('user', 'item'):
        del bare[kind].llm_x
    save_data(bare, folder)
    with pytest.raises(SystemExit):
        main(words(output, '--folders', str(folder)))
    assert "run 'pyg-darec encode'" in capsys.readouterr().err


def test_backbone_of_pyg(tmp_path: Path) -> None:
    """It has no penalty to tune, nor a contrast."""
    main(words(tmp_path, '--backbones', 'PyG-LightGCN', '--tune', '2'))
    folder = tmp_path / 'online_retail' / 'PyG-LightGCN' / 'plain'
    trials = json.loads((folder / 'tuning.json').read_text())['trials']
    assert [[*trial['params']] for trial in trials] == [['lr'], ['lr']]
    assert '| PyG-LightGCN | plain | 2 |' in (tmp_path / 'table.md').read_text()


@pytest.mark.parametrize('backbone', ['LightGCN', 'PyG-LightGCN'])
def test_objective(tmp_path: Path, backbone: str) -> None:
    """Is that of the training, and not compared with another."""
    more = '--backbones', backbone
    main(words(tmp_path, *more, '--objective', 'BCE'))
    for method in ('plain', METHOD):
        folder = tmp_path / 'online_retail' / backbone / method / 'seed-0'
        run = read(folder).info['run']
        assert run['objective'] == 'BCE'
    own = {k: v for k, v in run.items() if k in Run.__dataclass_fields__}
    _, trained = accuracy_runs.train(Run(**own), as_graph(DATA))
    assert 'bce' in trained.history[0]
    with pytest.raises(ValueError, match=r'other settings.*objective'):
        main(words(tmp_path, *more))
    main(words(tmp_path / 'other', *more, '--objective', 'BPR'))
    with pytest.raises(ValueError, match=r'other settings.*objective'):
        main(words(tmp_path / 'other', *more))


def test_alpharec_is_its_formula() -> None:
    graph = as_graph(DATA)
    model = accuracy_runs.make_backbone('AlphaRec', graph, 4).double()
    adjacency = torch.zeros(30, 60, dtype=torch.double)
    adjacency[graph.edge_index[0], graph.edge_index[1]] = 1
    items = functional.normalize(graph.llm_x['item'].double())
    users = functional.normalize(adjacency @ items)
    profiles = torch.cat([users, items])
    hidden = functional.leaky_relu(
        profiles @ model.encoder.weight0.T + model.encoder.bias0
    )
    x = hidden @ model.encoder.weight1.T + model.encoder.bias1
    whole = torch.zeros(90, 90, dtype=torch.double)
    whole[:30, 30:] = adjacency
    whole[30:, :30] = adjacency.T
    norm = whole.sum(dim=1).clamp(min=1).rsqrt().diag()
    step = norm @ whole @ norm
    expected = functional.normalize((x + step @ x + step @ step @ x) / 3)
    assert torch.allclose(torch.cat(model(graph)), expected, atol=1e-6)


def test_alpharec_trains_and_is_tuned(tmp_path: Path) -> None:
    """Its profiles, rows without one included, are no part of its weights."""
    graph = as_graph(random_data(num_users=30, num_items=60, num_edges=400))
    graph.llm_x['item'][3] = 0
    torch.manual_seed(0)
    model = accuracy_runs.make_backbone('AlphaRec', graph, 8, temperature=0.5)
    assert {name.split('.')[0] for name in model.state_dict()} == {'encoder'}
    result = fit(model, graph, epochs=30, lr=1e-2, progress=False)
    losses = [row['loss'] for row in result.history]
    assert losses[-1] < losses[0] - 0.1
    run = Run('small', 'AlphaRec', 'plain', dim=4, epochs=2)
    trials = tmp_path / 'trials.json'
    found = tune(run, graph, 2, trials)
    first = json.loads(trials.read_text())['trials'][0]['params']
    assert first == {'lr': 2e-3, 'temperature': 0.2}
    assert found.backbone_options.keys() == {'temperature'}


def test_tuning_goes_on_as_if_not_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_training: Any
) -> None:
    """On data without test interactions: it has no use for them."""
    graph = as_graph(random_data(num_users=30, num_items=60, num_edges=400))
    del graph.edge_label_index['test']
    run = Run('small', 'SGL', METHOD, dim=4, epochs=2)
    whole = tune(run, graph, 12, tmp_path / 'whole.json')
    trials = json.loads((tmp_path / 'whole.json').read_text())['trials']
    assert len(trials) == whole.num_trials == 12
    assert trials[0]['params'] == {
        'lr': 2e-3,
        'reg_weight': 1e-6,
        'ssl_weight': 0.01,
        'weight': 0.01,
        'temperature': 0.2,
    }
    best = max(trials, key=lambda trial: trial['validation'])['params']
    assert best['lr'] == whole.lr
    of_backbone = {k: best[k] for k in ('reg_weight', 'ssl_weight')}
    assert whole.backbone_options == of_backbone
    own = {k: best[k] for k in ('weight', 'temperature')}
    assert whole.options == own

    tune(run, graph, 11, tmp_path / 'parts.json')
    assert tune(run, graph, 12, tmp_path / 'parts.json') == whole
    parts = (tmp_path / 'parts.json').read_text()
    assert parts == (tmp_path / 'whole.json').read_text()
    monkeypatch.setattr(accuracy_runs, 'fit', no_training)
    assert tune(run, graph, 12, tmp_path / 'parts.json') == whole


def test_best_settings_of_the_backbone_are_tried(tmp_path: Path) -> None:
    main([*words(tmp_path, '--tune', '3'), '--methods', METHOD])
    folder = tmp_path / 'online_retail' / 'LightGCN'
    trials = {
        name: json.loads((folder / name / 'tuning.json').read_text())['trials']
        for name in ('plain', METHOD)
    }
    best = max(trials['plain'], key=lambda trial: trial['validation'])
    own = {'weight': 0.01, 'temperature': 0.2}
    assert trials[METHOD][1]['params'] == best['params'] | own
    assert not (folder / 'plain' / 'seed-0').exists()  # was not asked for


@pytest.mark.parametrize('backbone', ['LightGCN', 'PyG-LightGCN'])
def test_number_of_layers(tmp_path: Path, backbone: str) -> None:
    """Of all runs, and nothing that is tuned."""
    more = ['--backbones', backbone, '--num-layers', '1', '--tune', '2']
    main(words(tmp_path, *more))
    folder = tmp_path / 'online_retail' / backbone
    for method in ('plain', METHOD):
        trials = json.loads((folder / method / 'tuning.json').read_text())
        assert trials['run']['backbone_options'] == {'num_layers': 1}
        assert all('num_layers' not in t['params'] for t in trials['trials'])
        run = read(folder / method / 'seed-0').info['run']
        assert run['backbone_options']['num_layers'] == 1
    model = accuracy_runs.make_backbone(
        backbone, as_graph(DATA), 4, num_layers=1
    )
    assert model.num_layers == 1


@pytest.mark.parametrize('method', METHODS)
def test_defaults_are_in_the_search_space(method: str) -> None:
    for name, (low, high) in METHODS[method].space.items():
        assert low <= default_value(method, name) <= high


def test_every_method_is_trained_with_its_options() -> None:
    graph = as_graph(DATA)
    for method, (cls, _, space, _) in METHODS.items():
        options = {name: high for name, (_, high) in space.items()}
        run = Run('small', 'LightGCN', method, dim=4, epochs=1, options=options)
        model, _ = accuracy_runs.train(run, graph, 'cpu')
        assert isinstance(model, cls or LightGCN)
        for name, value in options.items():
            inner = getattr(model, 'injection', None) or getattr(
                model, 'structure', None
            )
            owner = model if hasattr(model, name) else inner
            assert getattr(owner, name) == value
    assert default_value(PAPER, 'weight') != default_value(OURS, 'weight')


def test_shuffled() -> None:
    graph = as_graph(DATA)
    once, again = shuffled(graph), shuffled(graph)
    for kind, x in graph.llm_x.items():
        assert torch.equal(once.llm_x[kind], again.llm_x[kind])
        assert not torch.equal(once.llm_x[kind], x)
        assert torch.equal(once.llm_x[kind].sort(0)[0], x.sort(0)[0])
    assert torch.equal(once.edge_index, graph.edge_index)


def check_means_of_items(graph: BipartiteGraph) -> None:
    unit = torch.nn.functional.normalize(graph.llm_x['item'])
    for user, x in enumerate(graph.llm_x['user']):
        own = unit[graph.edge_index[1, graph.edge_index[0] == user]]
        wanted = torch.nn.functional.normalize(own.sum(dim=0), dim=0)
        torch.testing.assert_close(x, wanted)


def test_shuffled_items() -> None:
    """Users are given what their items are said to be."""
    graph = as_graph(DATA)
    found, both = shuffled(graph, ['item']), shuffled(graph)
    assert torch.equal(found.llm_x['item'], both.llm_x['item'])
    assert torch.equal(found.edge_index, graph.edge_index)
    check_means_of_items(found)


def test_thinned() -> None:
    graph = as_graph(DATA)
    found = thinned(graph, 0.25)
    assert torch.equal(found.user_degree, -(-graph.user_degree // 4))
    pairs = (g.edge_index.t().tolist() for g in (found, graph))
    kept, known = (set(map(tuple, x)) for x in pairs)
    assert kept < known
    assert torch.equal(found.edge_index, thinned(graph, 0.25).edge_index)
    assert torch.equal(found.llm_x['item'], graph.llm_x['item'])
    check_means_of_items(found)
    for name, index in graph.edge_label_index.items():
        assert torch.equal(found.edge_label_index[name], index)


def test_thin_needs_a_share(tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(words(tmp_path, '--thin', '1.5'))
    assert "'--thin' needs to be in (0, 1) (got 1.5)" in capsys.readouterr().err
    assert not (tmp_path / 'online_retail').exists()


def made_up(means: dict[str, float], num_seeds: int) -> Any:
    """Metrics of 400 users, alike in all methods but for their mean and for
    some noise of each user, seed and method.
    """
    generator = torch.Generator().manual_seed(0)
    base = 0.2 * torch.rand(400, generator=generator, dtype=torch.double)
    runs: Any = {}
    for method, mean in means.items():
        for seed in range(num_seeds):
            noise = 0.01 * torch.randn(400, generator=generator)
            value = mean * (base + noise)
            per_user = dict.fromkeys(accuracy_runs.METRICS, value)
            result = Result({}, torch.arange(400), per_user)
            runs.setdefault(('LightGCN', method), {})[seed] = result
    return runs


def test_contrasts() -> None:
    means = {'plain': 1.0, 'KAR': 1.0, 'CTRL': 1.05, OURS: 1.2}
    runs = made_up(means, num_seeds=5)
    found = contrasts(runs)
    assert len(found) == 8
    by = {(c.method, c.other): c for c in found if c.metric == 'Recall@20'}
    assert set(by) == {
        ('KAR', 'plain'),
        ('CTRL', 'plain'),
        (OURS, 'plain'),
        (OURS, 'CTRL'),
    }
    ours, kar = by[OURS, 'plain'], by['KAR', 'plain']
    assert ours.gain == pytest.approx(0.2, abs=0.01)
    assert ours.low < ours.gain < ours.high
    assert ours.p_value < 0.01
    assert by[OURS, 'CTRL'].gain == pytest.approx(1.2 / 1.05 - 1, abs=0.01)
    assert kar.low < 0 < kar.high
    assert kar.p_value > 0.05

    def worst(c: Contrast) -> float:
        x, y = (
            torch.stack(
                [r.per_user[c.metric] for r in runs['LightGCN', m].values()]
            )
            for m in (c.method, c.other)
        )
        return max(compare(x, y, 'users')[-1], compare(x, y, 'seeds')[-1])

    assert [c.p_value for c in found] == holm([worst(c) for c in found])
    text = tables('made-up', runs, found)
    assert f'| LightGCN | {OURS} | 5 | 0.1' in text
    assert '| LightGCN | Recall@20 | CTRL | +14' in text


def test_one_seed_has_no_p_value() -> None:
    runs = made_up({'plain': 1.0, OURS: 1.2}, num_seeds=1)
    found = contrasts(runs)
    assert all(c.p_value != c.p_value for c in found)
    assert all(0.1 < c.low < c.high < 0.3 for c in found)
    assert 'nan' not in tables('made-up', runs, found)


def test_other_learning_rates_are_refused(tmp_path: Path) -> None:
    """On the same backbone, unless they were tuned."""
    graph = as_graph(DATA)

    def add(backbone: str, seed: int, **options: Any) -> None:
        run = Run('small', backbone, 'plain', seed, dim=4, epochs=1, **options)
        folder = tmp_path / run.folder / f'seed-{seed}'
        accuracy_runs.perform(run, graph, folder, 'cpu')

    add('LightGCN', 0)
    add('GCCF', 0, lr=1e-2)
    assert '| GCCF | plain | 1 |' in report(tmp_path, ['small'])
    add('LightGCN', 1, lr=1e-2)
    with pytest.raises(ValueError, match=r"seed-1.*delete.*\['lr'\]"):
        report(tmp_path, ['small'])
    for path in tmp_path.glob('**/result.json'):
        info = json.loads(path.read_text())
        info['run']['num_trials'] = 3
        path.write_text(json.dumps(info))
    assert '| LightGCN | plain | 2 |' in report(tmp_path, ['small'])


def test_other_test_pairs_and_defaults_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = as_graph(DATA)
    other = copy.copy(graph)
    run = Run('small', 'LightGCN', METHOD, dim=4, epochs=1)
    perform(run, graph, tmp_path, 'cpu')
    held_out = other.edge_label_index['test']
    other.edge_label_index = {
        **other.edge_label_index,
        'test': held_out[:, 1:],
    }
    with pytest.raises(ValueError, match=r"other settings.*\['data'\]"):
        perform(run, other, tmp_path, 'cpu')
    method = accuracy_runs.METHODS[METHOD]

    class Changed(RLMRecConAlign):
        def __init__(self, model: Any, llm_dim: int, weight: float = 7.0):
            super().__init__(model, llm_dim, weight=weight)

    changed = {METHOD: method._replace(cls=Changed)}
    monkeypatch.setattr(
        accuracy_runs, 'METHODS', {**accuracy_runs.METHODS, **changed}
    )
    with pytest.raises(ValueError, match=r"other settings.*\['defaults'\]"):
        perform(run, graph, tmp_path, 'cpu')


def test_best_other_has_seeds_in_common() -> None:
    runs = made_up({'KAR': 1.2, 'CTRL': 1.05, OURS: 1.3}, num_seeds=5)
    seeds = runs['LightGCN', 'KAR']
    runs['LightGCN', 'KAR'] = {7: seeds[0]}
    (found, _) = contrasts(runs)
    assert found.other == 'CTRL'
    assert found.p_value < 0.01
    runs['LightGCN', 'KAR'] = {0: seeds[0]}
    assert contrasts(runs)[0].other == 'CTRL'
    runs['LightGCN', 'KAR'] = {0: seeds[0], 1: seeds[1]}
    assert contrasts(runs)[0].other == 'KAR'


def test_other_users_are_refused(tmp_path: Path) -> None:
    graph = as_graph(DATA)
    for seed in range(2):
        run = Run('small', 'LightGCN', 'plain', seed, dim=4, epochs=1)
        folder = tmp_path / run.folder / f'seed-{seed}'
        accuracy_runs.perform(run, graph, folder, 'cpu')
        held_out = graph.edge_label_index['test']
        graph.edge_label_index['test'] = held_out[:, held_out[0] > 3]
    with pytest.raises(ValueError, match=r'seed-1.*users'):
        report(tmp_path, ['small'])


def test_a_killed_run_goes_on_as_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = as_graph(DATA)
    run = Run('small', 'LightGCN', 'plain', dim=4, epochs=6)

    def killed(*args: Any, **kwargs: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(accuracy_runs, 'evaluate_per_user', killed)
        with pytest.raises(KeyboardInterrupt):
            perform(run, graph, tmp_path, 'cpu')
    for other in ({'epochs': 3}, {'min_steps': 0}):
        (name,) = other
        with pytest.raises(ValueError, match=rf'settings.*{name}'):
            perform(replace(run, **other), graph, tmp_path, 'cpu')
    assert perform(run, graph, tmp_path, 'cpu').info['epochs'] == 6
    assert not (tmp_path / 'run.json').exists()


@pytest.mark.parametrize(
    'other', [{'min_steps': 0}, {'backbone_options': {'num_layers': 1}}]
)
def test_other_settings_are_not_compared(tmp_path: Path, other: Any) -> None:
    run = Run('small', 'LightGCN', 'plain', dim=4, epochs=1)
    for each in (run, replace(run, method=METHOD, **other)):
        folder = tmp_path / each.folder / 'seed-0'
        perform(each, as_graph(DATA), folder, 'cpu')
    (name,) = other
    with pytest.raises(ValueError, match=rf'be compared.*another .*{name}'):
        collect(tmp_path / 'small')


@pytest.mark.parametrize('other', [{'dim': 8}, {'lr': 0.1}])
def test_other_settings_are_found_before_training(
    tmp_path: Path, other: Any
) -> None:
    graph = as_graph(DATA)
    run = Run('small', 'LightGCN', 'plain', dim=4, epochs=1)
    perform(run, graph, tmp_path / run.folder / 'seed-0', 'cpu')
    folder = tmp_path / 'small'
    check_comparable(folder, record(replace(run, seed=1), graph))
    (name,) = other
    with pytest.raises(ValueError, match=rf"other settings.*\['{name}'\]"):
        check_comparable(folder, record(replace(run, **other), graph))


def test_every_backbone_can_be_tuned(tmp_path: Path) -> None:
    run = Run('small', 'AutoCF', 'plain', dim=4, epochs=1)
    assert (
        tune(run, as_graph(DATA), 1, tmp_path / 'trials.json').num_trials == 1
    )
