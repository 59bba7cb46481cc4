from pathlib import Path
from typing import Any

import torch

from pyg_darec.cli.output import say
from pyg_darec.io import atomic_write
from pyg_darec.profiles.clean_text import clean_text
from pyg_darec.retrieval import find_nodes
from pyg_darec.retrieval import recommend as compute
from pyg_darec.retrieval.nodes import node_ids
from pyg_darec.train.run_folder import load_run

# Of which nobody would expect another content.
_OTHER_FORMATS = '.parquet', '.json', '.jsonl', '.xlsx', '.npz'


def recommend(
    run: Path,
    *,
    users: list[str] | None = None,
    users_file: Path | None = None,
    k: int | None = None,
    keep_held_out: bool = False,
    output: Path | None = None,
    data: Path | None = None,
) -> None:
    """Print or write the best items for users, by name.

    Items that a user has interactions with are left out, whether they were
    trained on or held out to validate and test.

    Args:
        run: the run folder
        users: the ids of users; all of them if left out. One that begins with
            '-' is given as --users=-A7, several in USERS_FILE
        users_file: a text file with the ids of users, one a line
        k: the number of items for each user; 10 if left out, or all of fewer
        keep_held_out: recommend items of held-out interactions as well, as
            'evaluate' does
        output: a CSV file to write instead of printing
        data: the data folder, if it is no longer where it was
    """
    if output is not None and output.suffix.lower() in _OTHER_FORMATS:
        raise ValueError(
            "'--output' writes a table of comma-separated values; name a "
            f"file that ends in '.csv' (got '{output}')"
        )
    model, graph = load_run(run, data)
    k = min(10, graph['item'].num_nodes) if k is None else k
    index = None
    if users_file is not None:
        users = [*(users or ()), *_read_ids(users_file)]
    if users is not None:  # each once, however often it is named
        found = find_nodes(graph, users).tolist()
        index = torch.tensor(list(dict.fromkeys(found)))
    exclude = not keep_held_out
    out = compute(model, graph, index, k, exclude_held_out=exclude)
    frame = out.to_frame(graph, index)
    if output is not None:
        _write(frame, output)
        say(f'{output}: {len(frame)} recommendations')
        return
    groups = dict(iter(frame.groupby('user', sort=False)))
    ids = node_ids(graph, 'user')
    asked = ids if index is None else [ids[n] for n in index.tolist()]
    for user in dict.fromkeys(asked):
        # Ids may differ in spaces alone.
        is_plain = str(user) == str(user).strip()
        say(clean_text(f'user {user if is_plain else repr(user)}'))
        if user not in groups:  # has had everything
            say('      nothing is left to recommend')
            continue
        for row in groups[user].itertuples():
            label = getattr(row, 'name', None)
            label = row.item if label is None else f'{label} ({row.item})'
            say(f'{row.rank:>4}. {clean_text(str(label))}')


def _read_ids(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding='utf-8-sig').split('\n')
    except UnicodeDecodeError as e:
        raise ValueError(
            f"'{path}' needs to be a text file in UTF-8 (got {e})"
        ) from e
    # As they are: ids may differ in spaces alone.
    if not (ids := [line for line in lines if line]):
        raise ValueError(
            f"'{path}' needs the id of a user in each line (got no lines)"
        )
    return ids


def _write(frame: Any, path: Path) -> None:
    try:
        with atomic_write(path) as tmp:
            frame.to_csv(tmp, index=False)
    except OSError as e:  # which names a temporary file, or none
        raise OSError(
            f"'{path}' cannot be written; make room, or name another file as "
            f'--output (got {e})'
        ) from e
