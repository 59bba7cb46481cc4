from pyg_darec.datasets.rlmrec import RLMRecDataset


class AmazonBook(RLMRecDataset):
    r"""Reviews of Amazon books, split 3:1:1 by the
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
        * - 11,000
          - 9,332
          - 120,464
          - 40,290
          - 40,106
          - 1,536
    """

    folder = 'amazon'
