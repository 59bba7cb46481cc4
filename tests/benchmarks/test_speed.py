import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
from convergence import converge, seconds_to
from speed import Benchmark, chosen, main, open_result
from speed_report import quartiles, report
from split import Split

Patch = pytest.MonkeyPatch


def call(folder: Path, patch: Patch, *more: str) -> None:
    options = {
        '--output': folder / 'speed.json',
        '--peers': folder / 'none',
        '--rounds': 2,
        '--threads': torch.get_num_threads(),
        '--dim': 8,
        '--batch': 256,
        '--llm-dim': 12,
    }
    words = [str(word) for pair in options.items() for word in pair]
    words += ['--random', '60', '50', '900', *more]
    patch.setattr(sys, 'argv', ['speed.py', *words])
    main()


def test_runs(
    tmp_path: Path, monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One contender in a process, and one whose environment is not there."""
    call(tmp_path, monkeypatch, '--only', 'NGCF')
    result = json.loads((tmp_path / 'speed.json').read_text())
    table = (tmp_path / 'speed.md').read_text()
    assert table in capsys.readouterr().out
    assert list(result['contenders']) == ['ours NGCF']
    ours = result['contenders']['ours NGCF']
    assert {k: len(v['seconds']) for k, v in ours.items()} == {
        'step': 6,
        'epoch': 2,
        'propagate': 10,
        'evaluate': 2,
    }
    for measured in ours.values():
        assert min(measured['seconds']) > 0
        assert measured['peak_mib'] > 0
    assert 'setup.sh' in result['failed']['RecBole NGCF']
    assert 'RecBole NGCF was left out' in table

    # A second call measures what is missing, and RecBole still is.
    call(tmp_path, monkeypatch, '--only', 'RecBole NGCF')
    assert json.loads((tmp_path / 'speed.json').read_text()) == result


def test_no_steps_in_emulated_bfloat16(tmp_path: Path) -> None:
    args = argparse.Namespace(output=tmp_path / 'speed.json')
    rates = {'float32_flops': 11.0, 'bfloat16_flops': 1.0}
    result: dict[str, Any] = {'settings': {}, 'rates': rates, 'failed': {}}
    assert Benchmark(args, result).start(['ours DaRecAlign paper bf16']) == {}
    assert 'bfloat16' in result['failed']['ours DaRecAlign paper bf16']


def test_what_takes_long_is_repeated_less(tmp_path: Path) -> None:
    class Slow:
        operations = ('epoch',)

        def ask(self, do: str, **options: int) -> dict[str, Any]:
            return {'seconds': [40.0], 'peak_mib': 1.0}

    args = argparse.Namespace(output=tmp_path / 'speed.json')
    benchmark = Benchmark(args, {'settings': {}})
    figures: dict[str, Any] = {}
    for turn in range(9):
        benchmark.take_turn(Slow(), figures, turn)  # type: ignore[arg-type]
    assert figures['epoch']['seconds'] == [40.0, 40.0]


def test_who_fails_to_converge_keeps_other_figures(tmp_path: Path) -> None:
    args = argparse.Namespace(output=tmp_path / 'speed.json')
    figures = {'step': {'seconds': [1.0]}}
    result = {'settings': {}, 'failed': {}, 'contenders': {'ours': figures}}
    Benchmark(args, result).fail('ours', 'why')
    assert result['contenders'] == {'ours': figures}
    assert result['failed'] == {'ours': 'why'}


def test_convergence(tmp_path: Path) -> None:
    split = Split.random(60, 50, 900)
    args = argparse.Namespace(
        output=tmp_path / 'speed.json', max_epochs=6, patience=9
    )
    settings = {'dim': 8, 'layers': 2, 'batch': 256, 'lr': 1e-2}
    settings |= {'llm_dim': 12, 'clusters': 5, 'seed': 0, 'threads': 1}
    result: dict[str, Any] = {'settings': settings, 'failed': {}}
    result |= {'versions': {}, 'convergence': {}}
    benchmark = Benchmark(args, result)
    split.save(benchmark.split_path)
    converge(benchmark, 'PyG LightGCN', split)
    assert result['failed'] == {}
    course = result['convergence']['PyG LightGCN']
    assert [row['epoch'] for row in course] == [3, 6]
    assert 0 < course[0]['seconds'] < course[1]['seconds']
    assert all(0 < row['NDCG@20'] < 1 for row in course)


def test_other_settings_are_refused(tmp_path: Path, monkeypatch: Patch) -> None:
    (tmp_path / 'speed.json').write_text('{"settings": {}}')
    with pytest.raises(SystemExit, match='has other settings'):
        call(tmp_path, monkeypatch)


def test_another_random_size_is_another_setting(tmp_path: Path) -> None:
    args = argparse.Namespace(
        **{'root': None, 'dim': 8, 'layers': 2, 'batch': 256, 'lr': 1e-2},
        **{'llm_dim': 12, 'seed': 0, 'threads': 1},
        **{'max_epochs': 9, 'patience': 2, 'rounds': 2},
        output=tmp_path / 'speed.json',
        random=(60, 50, 900),
    )
    result = open_result(args, Split.random(*args.random))
    args.output.write_text(json.dumps(result))
    again = open_result(args, Split.random(*args.random))
    assert again == json.loads(json.dumps(result))
    result['machine']['processor'] = 'another'
    args.output.write_text(json.dumps(result))
    with pytest.raises(SystemExit, match='is from another machine'):
        open_result(args, Split.random(*args.random))
    args.random = (60, 50, 800)
    with pytest.raises(SystemExit, match='has other settings'):
        open_result(args, Split.random(*args.random))


def test_report() -> None:
    def taken(*seconds: float) -> dict[str, Any]:
        return {'seconds': list(seconds), 'peak_mib': 12.0}

    result: dict[str, Any] = {
        'settings': {'dim': 1, 'layers': 1, 'llm_dim': 4},
        'split': {
            'num_users': 1,
            'num_items': 1,
            'train': 1,
            'unique': [1, 1, 1, 2],
        },
        'machine': {
            'processor': 'P',
            'cores': 2,
            'memory_gib': 4,
            'system': 'S',
            'python': '3',
            'load': [0.5],
        },
        'rates': {
            'copy_bytes_per_second': 96.0,
            'float32_flops': 1.0,
            'bfloat16_flops': 4.0,
        },
        'versions': {'ours': {'torch': '2'}, 'peer': {'torch': '3'}},
        'turns': defaultdict(int),  # all took turns
        'failed': {'RecBole NCL': 'no such thing'},
        'contenders': {
            'ours LightGCN': {
                'epoch': taken(1.0, 2.0, 3.0),
                # 48 bytes at 96 a second take half a second.
                'propagate': taken(1.0),
            },
            'RecBole LightGCN': {'epoch': taken(10.0, 10.0, 30.0)},
        },
        'convergence': {
            'ours LightGCN': [
                {'epoch': 3, 'seconds': 2.0, 'NDCG@20': 0.1},
                {'epoch': 6, 'seconds': 4.0, 'NDCG@20': 0.2},
            ],
            'PyG LightGCN': [{'epoch': 3, 'seconds': 9.0, 'NDCG@20': 0.1}],
        },
    }
    text = report(result)
    assert '| ours LightGCN |  | 2.000 (1.500 to 2.500) |' in text
    assert '| epoch, RecBole / ours | 5 | 10.00 (7.50 to 10.00) x |' in text
    assert '| epoch, PyG / ours | 10 | not measured |' in text
    assert '50% (each row once), 50% (one an edge)' in text
    assert '| ours LightGCN | 0.2000 | 4.0 | 4.0 | 6 |' in text
    assert '| PyG LightGCN | 0.1000 | 9.0 | never | 3 |' in text
    assert 'RecBole NCL was left out: no such thing' in text


def test_parts() -> None:
    assert quartiles([3.0]) == (3.0, 3.0, 3.0)
    assert quartiles([5.0, 1.0, 2.0, 3.0, 4.0]) == (2.0, 3.0, 4.0)
    labels = 'ours LightGCN', 'plain LightGCN'
    assert chosen(labels, ['plain']) == ['plain LightGCN']
    assert chosen(labels, None) == list(labels)
    course = [{'seconds': 1.0, 'NDCG@20': 0.5}, {'seconds': 2.0, 'NDCG@20': 1}]
    assert seconds_to(course, 0.6) == 2.0
    assert seconds_to(course, 1.1) is None
