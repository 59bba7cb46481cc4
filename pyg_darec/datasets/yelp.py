from collections.abc import Mapping
from typing import ClassVar

from pyg_darec.datasets.rlmrec import RLMRecDataset


class Yelp(RLMRecDataset):
    r"""Reviews of Yelp businesses, split 3:1:1 by the
    `"Representation Learning with Large Language Models for Recommendation"
    <https://arxiv.org/abs/2310.15950>`_ paper, with profiles written by a
    language model and their :obj:`text-embedding-ada-002` embeddings.

    See :class:`~pyg_darec.datasets.rlmrec.RLMRecDataset` for the arguments,
    for the files that are used or downloaded and for how to get the
    embeddings.

    **STATS:**

    .. list-table::
        :widths: 10 10 10 10 10 10
        :header-rows: 1

        * - #users
          - #items
          - #training pairs
          - #validation pairs
          - #test pairs
          - llm_dim
        * - 11,091
          - 11,010
          - 166,620
          - 55,479
          - 55,436
          - 1,536
    """

    folder = 'yelp'
    sha256: ClassVar[Mapping[str, str]] = {
        'trn_mat.pkl': (
            '2306f5b9de8f3dd3342744d937a45b04abd22ede422304a549fb324e12e5f6bd'
        ),
        'val_mat.pkl': (
            '33aaf3bd27bd25d7d3e8223700fbd2d5400feec217c9ce09c87785460bcb355b'
        ),
        'tst_mat.pkl': (
            '3007de4f5955223bf7752f59cadb3b069d92acb879987e7eee286f252772a564'
        ),
        'usr_emb_np.pkl': (
            '963b39db0b7f10fd6a673c61cdc620fe981a6d7acc6cf9515f419679013b4520'
        ),
        'itm_emb_np.pkl': (
            '1fe3195f90ae39428eb491d80339d3e520cfe2a837f0c8175f71ebdf143a9315'
        ),
        'usr_prf.pkl': (
            'bb3736724cfe8cce89b4872eeb901ff2a59777554c61a76dd2742a4318eb3424'
        ),
        'itm_prf.pkl': (
            '73851996b2bd7f4d210c1c16d166b522abe84fb7f88d149736e7b4760836a7c8'
        ),
    }
