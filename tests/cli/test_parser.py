from pathlib import Path

import pytest
import yaml
from conformance.runs import CONFIG as SMALL

from pyg_darec._version import __version__
from pyg_darec.cli.parser import COMMANDS, parse

CONFIG = {**SMALL, 'lr': 0.5}


def misuse(argv: list[str], capsys) -> str:
    with pytest.raises(SystemExit) as caught:
        parse(argv)
    assert caught.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize('name', COMMANDS)
def test_help(name: str, capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        parse([name, '--help'])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f'usage: pyg-darec {name} ')
    assert all(len(line) <= 80 for line in text.splitlines())
    for noise in ('null,', 'type:', '<class', ':obj:', 'default: False'):
        assert noise not in text
    # Every argument is explained.
    assert 'None' not in text


def test_types_and_spellings() -> None:
    argv = ['prepare', 'a.csv', 'out', '--k-core', '5', '--debug']
    name, debug, values = parse([*argv, '--ratios', '0.8', '0.1', '0.1'])
    assert (name, debug) == ('prepare', True)
    assert values['table'] == Path('a.csv')
    assert values['k_core'] == 5
    assert list(values['ratios']) == [0.8, 0.1, 0.1]
    assert values['items'] is None
    _, _, values = parse(['prepare', 'a.csv', 'out'])
    assert list(values['ratios']) == [0.6, 0.2, 0.2]
    assert values['seed'] == 0


@pytest.mark.parametrize('place', range(3))
def test_options_between_arguments(place: int) -> None:
    argv = ['a', 'b']
    argv[place:place] = ['--lr', '0.5']
    _, _, values = parse(['train', *argv])
    assert (values['data'], values['run']) == (Path('a'), Path('b'))
    assert values['lr'] == 0.5


def test_ids_stay_texts() -> None:
    _, _, values = parse(['recommend', 'run', '--users', '007', '1e3', 'null'])
    assert values['users'] == ['007', '1e3', 'null']


def test_lists_of_texts_in_config(tmp_path: Path, capsys) -> None:
    path = tmp_path / 'a.yaml'
    argv = ['recommend', 'run', '--config', str(path)]
    path.write_text("users: [1000, '007', -A7, 'null']")
    assert parse(argv)[2]['users'] == ['1000', '007', '-A7', 'null']
    for other in ('1.50', 'true', 'null', '[1]'):
        path.write_text(f'users: [1000, {other}]')
        assert 'write it in quotes (got' in misuse(argv, capsys)
    for other in ('010', '1:30', '1_001', '0x1F', '+7', '-0'):
        path.write_text(f'users: [1000, {other}]')
        assert f"(got {other} in '{path}')" in misuse(argv, capsys)
    inline = ['recommend', 'run', '--config', '{users: [010]}']
    assert '(got 010 in' in misuse(inline, capsys)


def test_config(tmp_path: Path) -> None:
    path = tmp_path / 'a.yaml'
    content = {
        'data': 'shop',
        'run': 'runs/a',
        'lr': 0.5,
        'epochs': 7,
        'backbone_options': {'num_layers': 2},
    }
    path.write_text(yaml.safe_dump(content))
    _, _, values = parse(['train', '--config', str(path), '--epochs', '9'])
    assert values['data'] == Path('shop')
    assert (values['lr'], values['epochs']) == (0.5, 9)
    assert values['backbone_options'] == {'num_layers': 2}
    _, _, values = parse(
        ['train', 'a', 'b', '--backbone-options.num_layers', '3']
    )
    assert values['backbone_options'] == {'num_layers': 3}


def test_unknown_key_in_config(tmp_path: Path, capsys) -> None:
    path = tmp_path / 'a.yaml'
    path.write_text('epoch: 7')
    with pytest.raises(SystemExit) as caught:
        parse(['train', 'a', 'b', '--config', str(path)])
    assert caught.value.code == 2
    assert 'epoch' in capsys.readouterr().err


def test_required(capsys) -> None:
    with pytest.raises(SystemExit):
        parse(['profile', 'shop'])
    assert 'required: model' in capsys.readouterr().err


@pytest.mark.parametrize(
    'argv',
    [
        ['train', 'other', 'b', '--config', 'a.yaml'],
        ['train', '--config', 'a.yaml', 'other', 'b'],
        ['train', 'other', '--config', 'a.yaml', '--resume', 'b'],
        ['train', 'other', 'b', '--config=a.yaml', '--resume', 'b'],
        ['train', 'other', '--resume', 'b'],
        ['train', 'other', './x/../b', '--resume', 'b'],
    ],
)
def test_what_has_no_flag_is_never_replaced(
    argv: list[str], tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path('b').mkdir()
    Path('b/config.yaml').write_text(yaml.safe_dump(CONFIG))
    Path('a.yaml').write_text(yaml.safe_dump(CONFIG))
    _, _, values = parse(argv)
    assert values['data'] == Path('other')
    assert values['run'].resolve() == tmp_path / 'b'
    assert (values['dim'], values['lr']) == (8, 0.5)


@pytest.mark.parametrize(
    'argv',
    [
        ['train', 'shop', 'a', '--resume', 'b'],
        ['train', '--resume', 'b', 'shop', 'a'],
    ],
)
def test_two_runs(argv: list[str], tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for name in 'ab':
        Path(name).mkdir()
        Path(name, 'config.yaml').write_text(yaml.safe_dump(CONFIG))
    err = misuse(argv, capsys)
    assert "'run' needs to be the folder of --resume; leave it out" in err
    assert "(got 'a' and --resume 'b')" in err


def test_unknown_key_in_a_run(tmp_path: Path, capsys) -> None:
    path = tmp_path / 'config.yaml'
    path.write_text(yaml.safe_dump({**CONFIG, 'epoch': 7}))
    err = misuse(['train', '--resume', str(tmp_path)], capsys)
    assert f"'{path}'" in err
    assert "(got ['epoch'])" in err


def test_texts_of_no_items(capsys) -> None:
    argv = ['prepare', 'a.csv', 'out', '--text', 'title', '--items-sep', ';']
    err = misuse(argv, capsys)
    assert err.endswith('arguments need --items: --items-sep, --text')
    assert parse([*argv, '--items', 'b.csv'])[2]['text'] == ['title']


def test_version(capsys) -> None:
    with pytest.raises(SystemExit) as error:
        parse(['--version'])
    assert error.value.code == 0
    assert __version__ in capsys.readouterr().out
