import copy
import shutil
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import HeteroData

from pyg_darec.cli.choose_encoder import MODEL, choose_encoder
from pyg_darec.cli.item_texts import check_texts
from pyg_darec.cli.output import say
from pyg_darec.cli.paths import embedding_folders, profile_files
from pyg_darec.datasets.folder import load_data, save_data
from pyg_darec.hash_split import PROFILE_SPLIT
from pyg_darec.io.lock import lock_folder
from pyg_darec.profiles import (
    EmbeddingStore,
    ProfileStore,
    attach_profiles,
    complete_profiles,
    encode_profiles,
)
from pyg_darec.profiles.store_place import OtherStoreError
from pyg_darec.transforms import AttachProfileEmbeddings


def encode(
    data: Path,
    *,
    encoder: str = MODEL,
    base_url: str | None = None,
    dim: int | None = None,
    batch_size: int = 64,
    devices: list[str] | None = None,
    precision: str | None = None,
    normalize: bool = False,
    half: bool = False,
    overwrite: bool = False,
) -> None:
    """Embed the texts of users and items.

    The text of an item is the profile that 'profile' has written, else the
    text that 'prepare' was given. That of a user is such a profile, else what
    the data hold of the user's own, else the names of the user's newest
    training items. An empty text becomes zeros. Interrupt it at any time: the
    same command goes on where it stopped.

    Args:
        data: the data folder
        encoder: the name or the folder of a sentence-transformers model; or
            'tfidf', which needs no model: it knows words, not their meaning
        base_url: the address of an endpoint that speaks the OpenAI embeddings
            protocol and has the model ENCODER; its key is read from
            $OPENAI_API_KEY
        dim: the width of the embeddings, of an endpoint or of 'tfidf'
        batch_size: the number of texts to encode at once
        devices: the devices of the model, such as cuda:0 cuda:1
        precision: the type of the weights, such as float16
        normalize: divide each embedding by its length
        half: store float16 instead of float32
        overwrite: begin anew where other embeddings are stored, which stay
            until all new ones are there
    """
    if not data.is_dir():
        load_data(data)  # says what is wrong
    # What 'prepare' writes meanwhile would be lost.
    with lock_folder(data):
        graph, written = load_data(data, embeddings=False), profile_files(data)
        check_texts(data, graph, written)
        stores = {
            node_type: ProfileStore(file, read_only=True)
            for node_type, file in written.items()
        }
        if stores:
            _tell_gaps(graph, stores)
        graph = complete_profiles(graph, stores)
        chosen = choose_encoder(encoder, base_url, dim, graph, batch_size)
        for node_type in ('user', 'item'):
            graph[node_type].pop('llm_x', None)
        folders, places = embedding_folders(data), {}
        targets = {t: folder.resolve() for t, folder in folders.items()}
        for target in targets.values():
            _recover(target)
        for node_type, target in targets.items():
            arguments = {
                'texts': graph[node_type].profile,
                'encoder': chosen,
                'ids': graph[node_type].get('id'),
                # Texts of items may be of no interactions, and outlast a split.
                'split': graph if PROFILE_SPLIT in graph[node_type] else None,
                'normalize': normalize,
                'dtype': torch.float16 if half else torch.float32,
                'batch_size': batch_size,
                'devices': devices,
                'precision': precision,
            }
            places[node_type] = _encode(target, arguments, overwrite)
        # Only now, so that nothing is lost if one of them fails.
        for node_type, place in places.items():
            _move(place, targets[node_type])
            say(EmbeddingStore(folders[node_type]))
        graph = AttachProfileEmbeddings(folders)(graph)
        save_data(graph, data, embeddings=folders)


def _tell_gaps(graph: HeteroData, stores: dict[str, ProfileStore]) -> None:
    found = attach_profiles(copy.copy(graph), stores, missing='')
    for node_type in stores:
        texts = found[node_type].profile
        if lacking := texts.count(''):
            own = 'own text'
            if node_type == 'user':
                own += ', or the names of their items,'
            say(
                f'{lacking} of {len(texts)} {node_type}s have no profile that '
                f"'profile' wrote; their {own} is encoded instead"
            )


def _encode(folder: Path, arguments: dict[str, Any], overwrite: bool) -> Path:
    """Where the embeddings are: in the folder, or beside others there."""
    try:
        encode_profiles(folder=folder, **arguments)
        return folder
    except OtherStoreError:
        if not overwrite:
            raise
    place = _beside(folder, 'new')
    try:
        encode_profiles(folder=place, **arguments)
    except OtherStoreError:  # of an earlier attempt
        shutil.rmtree(place)
        encode_profiles(folder=place, **arguments)
    return place


def _move(place: Path, folder: Path) -> None:
    if place == folder:
        return
    old = _beside(folder, 'old')
    folder.rename(old)
    place.rename(folder)
    shutil.rmtree(old)


def _recover(folder: Path) -> None:
    """Ends what a kill cut off between the lines above."""
    old, new = _beside(folder, 'old'), _beside(folder, 'new')
    if old.exists() and not folder.exists():
        (new if new.exists() else old).rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _beside(folder: Path, what: str) -> Path:
    return folder.with_name(f'.{folder.name}.{what}')
