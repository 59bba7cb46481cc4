from pathlib import Path

from pyg_darec.cli.output import say
from pyg_darec.retrieval import export as write
from pyg_darec.retrieval.export import Format
from pyg_darec.train.run_folder import load_run


def export(
    run: Path,
    folder: Path,
    *,
    format: list[Format] | None = None,
    index: str | None = None,
    index_parameters: str | None = None,
    k: int = 20,
    data: Path | None = None,
) -> None:
    """Write embeddings of users and items, and an index, for a service.

    Args:
        run: the run folder
        folder: the folder to write
        format: 'safetensors' (if left out), 'parquet', or both
        index: a FAISS index of the items to write, by the name of its
            factory, such as Flat or HNSW32
        index_parameters: how the index searches, such as efSearch=64
        k: the number of items per user in the check of the index
        data: the data folder, if it is no longer where it was
    """
    model, graph = load_run(run, data)
    out = write(
        model,
        graph,
        folder,
        format or 'safetensors',
        index,
        index_parameters,
        k,
    )
    say(f'{out.folder}: {", ".join(out.files)}')
    if out.recall is not None:
        say(f'The index finds {out.recall:.4f} of the exact best items.')
