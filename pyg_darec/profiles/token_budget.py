"""How many tokens a text takes, and how sources share a budget of them."""

import re
from collections.abc import Callable, Sequence

TokenCounter = Callable[[str], int]

_PLAIN = re.compile('[A-Za-z ]+')
# No text is read further than this many characters per token that it may
# take, so that one of 10 MB costs no more than another.
_MAX_CHARS_PER_TOKEN = 16
_ELLIPSIS = ' …'


def estimate_tokens(text: str) -> int:
    r"""Estimates a number of tokens without a tokenizer, rather too high than
    too low: three ASCII letters or spaces are one token, and so is every byte
    (in UTF-8) of anything else. Tokenizers of language models need about four
    letters of English, and at most one token per byte of any text.

    Args:
        text (str): The text.
    """
    rest = _PLAIN.sub('', text)
    num_rest = len(rest.encode(errors='replace'))
    return -(-(len(text) - len(rest)) // 3) + num_rest


def share_budget(
    needs: Sequence[int], budget: int, least: int = 16
) -> list[int]:
    r"""Divides a budget among sources, the most important first.

    As many of the first sources take part as can have :obj:`least` tokens
    each (or all they need, if that is less); the rest get nothing. Each
    source then gets what it needs up to a level that is the same for all.

    Args:
        needs (list): The number of tokens that each source needs.
        budget (int): The number of tokens to divide.
        least (int, optional): The smallest share that is of use.
            (default: :obj:`16`)
    """
    taken = 0
    count = 0
    for need in needs:
        taken += min(need, least)
        if taken > budget:
            break
        count += 1
    shares = [0] * len(needs)
    # From the least to the greatest need: what one leaves, others can use.
    order = sorted(range(count), key=needs.__getitem__)
    for place, n in enumerate(order):
        shares[n] = min(needs[n], budget // (count - place))
        budget -= shares[n]
    return shares


def bound_text(text: str, max_tokens: int) -> str:
    r"""Cuts off what no tokenizer would fit into :obj:`max_tokens`."""
    return text[: max_tokens * _MAX_CHARS_PER_TOKEN]


def truncate(text: str, max_tokens: int, count: TokenCounter) -> str:
    r"""The beginning of a text, in whole words where it has words, that takes
    at most :obj:`max_tokens` with the ellipsis that marks the cut.
    """
    if count(text) <= max_tokens:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if count(text[:middle] + _ELLIPSIS) <= max_tokens:
            low = middle
        else:
            high = middle - 1
    words, space, _ = text[:low].rpartition(' ')
    # Scripts without spaces have no word to save.
    kept = words if space and len(words) > low // 2 else text[:low]
    return kept.rstrip() + _ELLIPSIS if kept.strip() else ''
