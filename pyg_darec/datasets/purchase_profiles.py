import numpy as np
import scipy.sparse
from torch import Tensor


def purchase_profiles(
    edge_index: Tensor,
    country: list[str],
    description: list[str],
    num_items: int = 25,
) -> list[str]:
    r"""Describes each customer by country and most typical purchases, using
    the given interactions only.

    The purchases of a customer are ordered by the cosine of their TF-IDF
    vector and that of all the customer's purchases together. Of six ways to
    choose them, this one gave embeddings that ranked held-out products best;
    25 descriptions fit into the 256 word pieces that MiniLM reads.

    Args:
        edge_index (torch.Tensor): Users and the items they bought.
        country (list): The country of each user.
        description (list): The description of each item.
        num_items (int, optional): The most items to name.
            (default: :obj:`25`)

    Shapes:
        - **edge_index:** :math:`(2, E)`
        - **output:** one text per user
    """
    user, item = edge_index.numpy()
    tfidf = _tfidf(description)
    shape = (len(country), len(description))
    bought = scipy.sparse.csr_matrix((np.ones(len(user)), (user, item)), shape)
    typical = (bought @ tfidf)[user].multiply(tfidf[item]).sum(axis=1)
    # Rounded, so that no last digit decides on another machine.
    score = np.asarray(typical).ravel().round(6)
    order = np.lexsort((item, -score, user))
    ends = np.cumsum(np.bincount(user, minlength=len(country)))[:-1]
    profiles = []
    for place, items in zip(country, np.split(item[order], ends), strict=True):
        names = ', '.join(description[i] for i in items[:num_items])
        profiles.append(f'Customer from {place} who buys: {names or "nothing"}')
    return profiles


def _tfidf(texts: list[str]) -> scipy.sparse.csr_matrix:
    words = [sorted(set(text.lower().split())) for text in texts]
    column = {w: n for n, w in enumerate(sorted(set().union(*words)))}
    row = np.repeat(np.arange(len(words)), [len(w) for w in words])
    col = np.array([column[w] for text in words for w in text])
    idf = np.log(len(words) / np.bincount(col))
    # A word that every text has says nothing; it must not divide by zero.
    norm = np.sqrt(np.bincount(row, idf[col] ** 2, len(words))).clip(1e-12)
    value = idf[col] / norm[row]
    return scipy.sparse.csr_matrix((value, (row, col)))
