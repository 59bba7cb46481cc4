"""Profile texts and their embeddings: encoding, storing, reading."""

from pyg_darec.hash_split import hash_split
from pyg_darec.profiles.attach_profiles import attach_profiles
from pyg_darec.profiles.audit import audit_profiles
from pyg_darec.profiles.chat_client import ChatClient
from pyg_darec.profiles.client import (
    Client,
    FatalError,
    RejectedError,
    Reply,
    TransientError,
)
from pyg_darec.profiles.complete_profiles import complete_profiles
from pyg_darec.profiles.embedding_client import EmbeddingClient
from pyg_darec.profiles.embedding_store import EmbeddingStore
from pyg_darec.profiles.encode import encode_texts
from pyg_darec.profiles.encode_alike import encode_alike
from pyg_darec.profiles.encode_profiles import encode_profiles
from pyg_darec.profiles.generate import generate_profiles
from pyg_darec.profiles.generation import Generation
from pyg_darec.profiles.item_prompts import item_prompts
from pyg_darec.profiles.leakage_audit import LeakageAudit
from pyg_darec.profiles.profile import Profile, parse_profile
from pyg_darec.profiles.profile_store import Answer, ProfileStore
from pyg_darec.profiles.prompt import Prompt
from pyg_darec.profiles.prompt_template import (
    ITEM_TEMPLATE,
    USER_TEMPLATE,
    PromptTemplate,
)
from pyg_darec.profiles.read import read_embeddings
from pyg_darec.profiles.tfidf_encoder import TfidfEncoder
from pyg_darec.profiles.token_budget import estimate_tokens
from pyg_darec.profiles.transformers_client import TransformersClient
from pyg_darec.profiles.user_prompts import user_prompts

__all__ = [
    'ITEM_TEMPLATE',
    'USER_TEMPLATE',
    'Answer',
    'ChatClient',
    'Client',
    'EmbeddingClient',
    'EmbeddingStore',
    'FatalError',
    'Generation',
    'LeakageAudit',
    'Profile',
    'ProfileStore',
    'Prompt',
    'PromptTemplate',
    'RejectedError',
    'Reply',
    'TfidfEncoder',
    'TransformersClient',
    'TransientError',
    'attach_profiles',
    'audit_profiles',
    'complete_profiles',
    'encode_alike',
    'encode_profiles',
    'encode_texts',
    'estimate_tokens',
    'generate_profiles',
    'hash_split',
    'item_prompts',
    'parse_profile',
    'read_embeddings',
    'user_prompts',
]
