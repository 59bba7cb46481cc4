from torch_geometric.data import HeteroData

from pyg_darec.profiles import EmbeddingClient, TfidfEncoder
from pyg_darec.profiles.encoder import Encoder

MODEL = 'sentence-transformers/all-MiniLM-L6-v2'


def choose_encoder(
    name: str,
    base_url: str | None,
    dim: int | None,
    data: HeteroData,
    batch_size: int = 64,
) -> Encoder:
    r"""The encoder that the arguments of a command name; :obj:`'tfidf'` is
    that of the profile texts of :obj:`data`.
    """
    if base_url is not None:
        return EmbeddingClient(name, base_url, dim, batch_size=batch_size)
    if name == 'tfidf':
        texts = [*data['item'].profile, *data['user'].profile]
        return TfidfEncoder(texts, dim=64 if dim is None else dim)
    if dim is not None:
        raise ValueError(
            "'dim' is for an endpoint or 'tfidf'; a sentence-transformers "
            f'model has a width of its own (got {dim} for {name!r})'
        )
    return name
