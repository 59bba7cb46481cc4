from pyg_darec.datasets.rlmrec import RLMRecDataset


class Steam(RLMRecDataset):
    r"""Reviews of Steam games, split 3:1:1 by the
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
        * - 23,310
          - 5,237
          - 316,190
          - 104,897
          - 104,835
          - 1,536
    """

    folder = 'steam'
