import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors import safe_open
from torch_geometric.data import HeteroData

from pyg_darec.checks import as_seed, check_choice
from pyg_darec.datasets.cached_dataset import CachedDataset
from pyg_darec.datasets.purchase_profiles import purchase_profiles
from pyg_darec.graph import EDGE_TYPE
from pyg_darec.hash_split import PROFILE_SPLIT, hash_split
from pyg_darec.transforms import SplitInteractions

FOLDER = Path(__file__).parent / 'data'
INTERACTIONS = FOLDER / 'online_retail.npz'
EMBEDDINGS = FOLDER / 'online_retail_minilm.safetensors'

Split = Literal['random', 'temporal']


class OnlineRetail(CachedDataset):
    r"""Who bought what in a British online shop for gifts, from December 2010
    to December 2011, from the `"Data Mining for the Online Retail Industry"
    <https://doi.org/10.1057/dbm.2012.17>`_ paper
    (`Chen et al., 2012 <https://doi.org/10.1145/1835804.1835882>`_). It comes
    with the package, under CC0.

    An interaction is that a customer bought a product at least once; all
    customers and products have at least five. Interactions carry the time of
    the first purchase as :obj:`time` (:obj:`val_time`, :obj:`test_time`), in
    seconds since 1970. The :obj:`profile` of an item is its most frequent
    description; the :obj:`profile` of a user tells the country and the
    products **of the training interactions**, so it differs from split to
    split. Original ids are in :obj:`id`.

    **Embeddings** by `all-MiniLM-L6-v2
    <https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2>`_ are
    attached to the items as :obj:`llm_x`, and to the users of the default
    split only: those of another split would know what is held out. Make them
    from the profiles of that split:

    .. code-block:: python

        from pyg_darec.transforms import AttachProfileEmbeddings

        data = OnlineRetail(root, split='temporal')[0]
        encoder = 'sentence-transformers/all-MiniLM-L6-v2'
        data = AttachProfileEmbeddings(encoder=encoder)(data)

    Args:
        root (str or Path): Root directory where the processed dataset is saved.
        split (str, optional): :obj:`'random'` holds out two fifths of the
            interactions of each user, :obj:`'temporal'` the last two fifths
            of all, less those of customers and products that are new then;
            see :class:`~pyg_darec.transforms.SplitInteractions`.
            (default: :obj:`'random'`)
        seed (int, optional): The seed of the random split.
            (default: :obj:`0`)
        transform (callable, optional): A transform of the
            :class:`~torch_geometric.data.HeteroData` at every access.
            (default: :obj:`None`)
        pre_transform (callable, optional): A transform of the
            :class:`~torch_geometric.data.HeteroData` before it is saved to
            disk. (default: :obj:`None`)
        force_reload (bool, optional): Whether to re-process the dataset.
            (default: :obj:`False`)

    Raises:
        ValueError: If :obj:`split` is not one of the above or :obj:`seed`
            is negative.

    **STATS:**

    .. list-table::
        :widths: 10 10 10 10
        :header-rows: 1

        * - #users
          - #items
          - #interactions
          - llm_dim
        * - 4,074
          - 3,145
          - 264,510
          - 384
    """

    def __init__(
        self,
        root: str | Path,
        split: Split = 'random',
        seed: int = 0,
        transform: Callable[[HeteroData], HeteroData] | None = None,
        pre_transform: Callable[[HeteroData], HeteroData] | None = None,
        force_reload: bool = False,
    ) -> None:
        check_choice('split', split, Split)
        self.split = split
        self.seed = as_seed(seed)
        super().__init__(
            str(root), transform, pre_transform, force_reload=force_reload
        )
        self.load_cached()

    @property
    def cache_name(self) -> str:
        random = self.split == 'random'
        return f'random_{self.seed}' if random else self.split

    @property
    def source_paths(self) -> list[Path]:
        return [INTERACTIONS, EMBEDDINGS]

    def make_data(self) -> HeteroData:
        data = load_split(self.split, self.seed)
        self._attach_embeddings(data)
        return data

    def _attach_embeddings(self, data: HeteroData) -> None:
        with safe_open(EMBEDDINGS, framework='pt') as file:
            made_from = file.metadata()
            for node_type in ('user', 'item'):
                # Compared by text, so that no embedding of a user who was
                # profiled from other interactions can ever slip in.
                digest = profile_digest(data[node_type].profile)
                if made_from[node_type] == digest:
                    x = file.get_tensor(node_type).float()
                    data[node_type].llm_x = x
                elif self.cache_name == 'random_0':
                    warnings.warn(
                        f"'{EMBEDDINGS.name}' was not made from the profiles "
                        f"of '{node_type}' in this split; they are left out "
                        f"(got digest '{digest}')"
                    )

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(split='{self.split}', seed={self.seed})"
        )


def load_split(split: Split, seed: int) -> HeteroData:
    r"""The split interactions and the profiles, without embeddings."""
    with np.load(INTERACTIONS) as file:
        raw = dict(file)
    data = HeteroData()
    for node_type in ('user', 'item'):
        data[node_type].id = raw[f'{node_type}_id'].tolist()
        data[node_type].num_nodes = len(data[node_type].id)
    user, item, minute = (
        np.cumsum(raw[f'{name}_diff'], dtype=np.int64)
        for name in ('user', 'item', 'minute')
    )
    data[EDGE_TYPE].edge_index = torch.from_numpy(np.stack([user, item]))
    data[EDGE_TYPE].time = torch.from_numpy(60 * minute)
    data = SplitInteractions(split, seed=seed)(data)

    data['item'].profile = raw['description'].tolist()
    data['user'].profile = purchase_profiles(
        data[EDGE_TYPE].edge_index,
        raw['country'].tolist(),
        data['item'].profile,
    )
    data['user'][PROFILE_SPLIT] = hash_split(data)
    return data


def profile_digest(profiles: list[str]) -> str:
    r"""A digest of texts, in their order."""
    return hashlib.sha256('\n'.join(profiles).encode()).hexdigest()
