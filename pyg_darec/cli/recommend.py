from pathlib import Path

import torch

from pyg_darec.cli.output import say
from pyg_darec.io import atomic_write
from pyg_darec.profiles.clean_text import clean_text
from pyg_darec.retrieval import find_nodes
from pyg_darec.retrieval import recommend as compute
from pyg_darec.retrieval.nodes import node_ids
from pyg_darec.train.run_folder import load_run


def recommend(
    run: Path,
    *,
    users: list[str] | None = None,
    k: int | None = None,
    output: Path | None = None,
    data: Path | None = None,
) -> None:
    """Print or write the best items for users, by name.

    Items that a user has training interactions with are left out.

    Args:
        run: the run folder
        users: the ids of users; all of them if left out
        k: the number of items for each user; 10 if left out, or all of fewer
        output: a CSV file to write instead of printing
        data: the data folder, if it is no longer where it was
    """
    model, graph = load_run(run, data)
    k = min(10, graph['item'].num_nodes) if k is None else k
    index = None
    if users is not None:  # each once, however often it is named
        found = find_nodes(graph, users).tolist()
        index = torch.tensor(list(dict.fromkeys(found)))
    frame = compute(model, graph, index, k).to_frame(graph, index)
    if output is not None:
        with atomic_write(output) as path:
            frame.to_csv(path, index=False)
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
