import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import backbones
import pytest
from backbones import main
from conformance.graphs import random_data

from pyg_darec.recipes import load_recipe

DATA = random_data(num_users=30, num_items=60, num_edges=400)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(dataset: str, name: str) -> Any:
        recipe = load_recipe(dataset, name)
        return replace(recipe, fit={**recipe.fit, 'epochs': 1})

    monkeypatch.setattr(backbones, 'load_recipe', load)
    monkeypatch.setitem(backbones.DATASETS, 'yelp', lambda root: [DATA])


def words(output: Path, *more: str) -> list[str]:
    words = ['--root', '', '--output', str(output), '--device', 'cpu']
    return [*words, '--models', 'lightgcn', 'gccf', '--seeds', '0', '1', *more]


def test_runs_and_resumes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    no_training: Any,
) -> None:
    main(words(tmp_path))
    table = (tmp_path / 'yelp' / 'table.md').read_text()
    assert table in capsys.readouterr().out
    lightgcn, gccf = table.splitlines()[2:]
    assert lightgcn.startswith('| LightGCN | 2 | 0.')
    assert '| 0.1157 (+' in lightgcn or '| 0.1157 (-' in lightgcn
    # The paper prints another number.
    assert '| 0.1143 (re-run; ' in gccf

    monkeypatch.setattr(backbones, 'fit', no_training)
    main(words(tmp_path))
    assert (tmp_path / 'yelp' / 'table.md').read_text() == table


def test_other_settings_are_refused(tmp_path: Path) -> None:
    bf16 = '--precision', 'bf16-mixed'
    main(words(tmp_path))
    with pytest.raises(ValueError, match=r"LightGCN-0.*\['precision'\]"):
        main(words(tmp_path, *bf16))
    # Nor are there two kinds in one row, which is known before training.
    with pytest.raises(ValueError, match=r"GCCF-0.*\['precision'\]"):
        main(words(tmp_path, *bf16, '--models', 'GCCF', '--seeds', '2'))
    assert not (tmp_path / 'yelp' / 'GCCF-2').exists()
    main(words(tmp_path / 'other', *bf16, '--models', 'GCCF'))

    # A file of before they were written down.
    path = tmp_path / 'other' / 'yelp' / 'GCCF-0' / 'result.json'
    result = json.loads(path.read_text())
    del result['run']
    path.write_text(json.dumps(result))
    for more in ((), ('--models', 'LightGCN')):
        with pytest.raises(ValueError, match=r'GCCF-0.*other settings'):
            main(words(tmp_path / 'other', '--models', 'GCCF', *bf16, *more))
