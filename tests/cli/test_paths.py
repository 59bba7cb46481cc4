from pathlib import Path

from pyg_darec.cli.paths import embedding_folders, profile_files


def test_profile_files(tmp_path: Path) -> None:
    item = tmp_path / 'profiles' / 'item.jsonl'
    user = tmp_path / 'profiles' / 'user.jsonl'
    both = {'item': item, 'user': user}
    assert profile_files(tmp_path) == {}
    assert profile_files(tmp_path, existing=False) == both
    user.parent.mkdir()
    user.touch()
    assert profile_files(tmp_path) == {'user': user}


def test_embedding_folders(tmp_path: Path) -> None:
    folders = embedding_folders(tmp_path)
    assert folders['user'] == tmp_path / 'embeddings' / 'user'
    assert list(folders) == ['item', 'user']
