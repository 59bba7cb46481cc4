"""Where commands keep what belongs to a data folder."""

from pathlib import Path


def profile_files(data: Path, existing: bool = True) -> dict[str, Path]:
    r"""The profile stores of a data folder by node type."""
    files = {t: data / 'profiles' / f'{t}.jsonl' for t in ('item', 'user')}
    return {t: f for t, f in files.items() if f.exists() or not existing}


def embedding_folders(data: Path) -> dict[str, Path]:
    r"""The embedding stores of a data folder by node type."""
    return {t: data / 'embeddings' / t for t in ('item', 'user')}
