from pathlib import Path

from cli.conftest import run


def test_export(trained: Path, tmp_path: Path, capsys) -> None:
    formats = ['--format', 'safetensors', 'parquet']
    run(
        *('export', str(trained / 'runs/shop'), str(tmp_path / 'out')),
        *(*formats, '--index', 'Flat'),
    )
    names = {path.name for path in (tmp_path / 'out').iterdir()}
    assert names == {
        *('user.safetensors', 'item.safetensors', 'user.parquet'),
        *('item.parquet', 'user.id.jsonl', 'item.id.jsonl'),
        *('item.faiss', 'manifest.json'),
    }
    out = capsys.readouterr().out
    assert 'The index finds 1.0000 of the exact best items.' in out
