from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from pyg_darec.cli.choose_encoder import MODEL
from pyg_darec.cli.new_items import NewItems, read_new_items
from pyg_darec.cli.output import say
from pyg_darec.io import atomic_write
from pyg_darec.profiles.clean_text import clean_text
from pyg_darec.retrieval import find_nodes
from pyg_darec.retrieval import recommend as compute
from pyg_darec.retrieval.cold import as_embedder
from pyg_darec.retrieval.nodes import node_ids
from pyg_darec.train.run_folder import load_run, read_config

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
    new_items: Path | None = None,
    item_id: str = 'item',
    name: str | None = None,
    text: list[str] | None = None,
    items_sep: str | None = None,
    encoder: str = MODEL,
    base_url: str | None = None,
    dim: int | None = None,
) -> None:
    """Print or write the best items for users, by name.

    Items that a user has interactions with are left out, whether they were
    trained on or held out to validate and test. Items that came since can
    compete with the others, by their texts alone, if the model was trained
    with 'darec' as its aligner.

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
        new_items: a CSV or Parquet file with the texts of items, one item a
            row, of which those that are not in the data are recommended, too
        item_id: the column of item ids in NEW_ITEMS
        name: the column with names in NEW_ITEMS, if it is not the first one
            beside the ids
        text: the columns of NEW_ITEMS that the text of an item consists of, if
            not all of them beside the ids
        items_sep: what separates the columns of NEW_ITEMS, if it is no comma
        encoder: what 'encode' embedded the texts of the others with
        base_url: the address of its endpoint, if it has one
        dim: the width that 'encode' was given, if it was given one
    """
    if output is not None and output.suffix.lower() in _OTHER_FORMATS:
        raise ValueError(
            "'--output' writes a table of comma-separated values; name a "
            f"file that ends in '.csv' (got '{output}')"
        )
    model, graph = load_run(run, data)
    index = None
    if users_file is not None:
        users = [*(users or ()), *_read_ids(users_file)]
    if users is not None:  # each once, however often it is named
        found = find_nodes(graph, users).tolist()
        index = torch.tensor(list(dict.fromkeys(found)))
    new = NewItems([], [], None)
    if new_items is not None:
        as_embedder(model)  # before texts are encoded for nothing
        new = read_new_items(
            new_items,
            graph,
            Path(read_config(run)['data'] if data is None else data),
            item_id=item_id,
            name=name,
            text=text,
            sep=items_sep,
            encoder=encoder,
            base_url=base_url,
            dim=dim,
        )
    k = min(10, graph['item'].num_nodes + len(new.ids)) if k is None else k
    out = compute(
        *(model, graph, index, k),
        exclude_held_out=not keep_held_out,
        new_items=new.llm_x,
    )
    frame = out.to_frame(graph, index, new_items=new.ids)
    if new.ids:
        named = dict(zip(new.ids, new.names, strict=True))
        frame['name'] = frame['name'].fillna(frame['item'].map(named))
    if output is not None:
        _write(frame, output)
        say(f'{output}: {len(frame)} recommendations')
        return
    user_ids = node_ids(graph, 'user')
    if index is not None:
        user_ids = [user_ids[n] for n in index.tolist()]
    _print(frame, user_ids)


def _print(frame: Any, users: Sequence[Any]) -> None:
    groups = dict(iter(frame.groupby('user', sort=False)))
    for user in dict.fromkeys(users):
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
