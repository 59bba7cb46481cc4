"""A causal language model of transformers that is made in code."""

from itertools import pairwise
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

TEMPLATE = '{% for m in messages %}{{ m.content }}{% endfor %}<answer>'


def save_parrot(folder: Path, answer: str) -> None:
    """Saves a model that gives one answer to whatever it is asked.

    What it says next depends on the last token alone, as its only layer adds
    nothing: after the mark that ends a prompt comes the answer, which is a
    token of its own, and after that the end.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({c: n for n, c in enumerate(alphabet)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token='<end>', chat_template=TEMPLATE
    )
    tokenizer.add_tokens(
        [AddedToken(t, normalized=False) for t in ('<answer>', answer)]
    )
    chain = tokenizer.convert_tokens_to_ids(['<answer>', answer, '<end>'])
    size = len(tokenizer)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=size,
            hidden_size=size + size % 2,
            intermediate_size=2,
            num_hidden_layers=1,
            num_attention_heads=1,
            max_position_embeddings=8192,
            tie_word_embeddings=False,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if 'norm' not in name:
                weight.zero_()
        model.model.embed_tokens.weight.fill_diagonal_(1.0)
        for before, after in pairwise(chain):
            model.lm_head.weight[after, before] = 1.0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
