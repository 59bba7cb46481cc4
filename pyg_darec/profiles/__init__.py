"""Profile texts and their embeddings: encoding, storing, reading."""

from pyg_darec.profiles.encode import encode_texts
from pyg_darec.profiles.read import read_embeddings

__all__ = ['encode_texts', 'read_embeddings']
