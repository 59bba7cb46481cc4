import platform
from importlib.metadata import version
from pathlib import Path

from pyg_darec._version import __version__
from pyg_darec.cli.output import say
from pyg_darec.cli.paths import embedding_folders, profile_files
from pyg_darec.datasets.folder import load_data
from pyg_darec.graph import BipartiteGraph
from pyg_darec.profiles import EmbeddingStore
from pyg_darec.train.run_folder import CONFIG, read_metrics

LIBRARIES = ('torch', 'torch-geometric', 'sentence-transformers')


def info(folder: Path | None = None) -> None:
    """Print versions, or what a data folder or run folder holds.

    Args:
        folder: a data folder or a run folder; versions if left out
    """
    if folder is None:
        say(f'pyg-darec {__version__}', f'Python {platform.python_version()}')
        say(*(f'{name} {version(name)}' for name in LIBRARIES))
    elif (folder / CONFIG).is_file():
        say((folder / CONFIG).read_text(encoding='utf-8').rstrip())
        for part, metrics in read_metrics(folder).items():
            say(f'{part}:', *(f'  {k}: {v:.4g}' for k, v in metrics.items()))
    else:
        data = load_data(folder)
        say(BipartiteGraph.from_data(data), data)
        say(*profile_files(folder).values())
        for store in embedding_folders(folder).values():
            if store.is_dir():
                say(EmbeddingStore(store))
