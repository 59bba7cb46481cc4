from collections.abc import Sequence
from typing import Any

from torch_geometric.data import HeteroData

from pyg_darec.checks import check_count
from pyg_darec.graph import EDGE_TYPE, EdgeType
from pyg_darec.profiles.prompt import Prompt
from pyg_darec.profiles.prompt_template import USER_TEMPLATE, PromptTemplate
from pyg_darec.profiles.prompt_writer import PromptWriter, Source
from pyg_darec.profiles.token_budget import TokenCounter, estimate_tokens
from pyg_darec.profiles.training_pairs import Reviews, TrainingPairs


def user_prompts(
    data: HeteroData,
    reviews: Reviews | None = None,
    template: PromptTemplate = USER_TEMPLATE,
    max_tokens: int = 3000,
    max_items: int = 20,
    count_tokens: TokenCounter = estimate_tokens,
    skip_empty: bool = False,
    edge_type: EdgeType = EDGE_TYPE,
    seed: int = 0,
    time_attr: str = 'time',
) -> list[Prompt]:
    r"""Asks for the profile of each user, from the profiles of the items of
    the user's **training interactions** and from the user's reviews of them.
    Held-out interactions are not looked at, and their reviews are dropped.

    .. code-block:: python

        attach_profiles(data, {'item': 'profiles/item.jsonl'})
        prompts = user_prompts(data, reviews)

    The newest items of a user come first if the relation has
    :obj:`time_attr`; otherwise their order is random. Texts too long for their
    share of the budget are cut, and the last ones left out where shares would
    become too small to be of use.

    Args:
        data (HeteroData): The split data, with a text per item in
            :obj:`data['item'].profile`, and ids in :obj:`data[type].id`;
            without, node indices are the ids.
        reviews (list, optional): Triples of user id, item id and text.
            (default: :obj:`None`)
        template (PromptTemplate, optional): The words around the data, with
            the placeholders :obj:`$items` and :obj:`$reviews`.
        max_tokens (int, optional): The most tokens of a prompt, system
            message included. (default: :obj:`3000`)
        max_items (int, optional): The most items in a prompt.
            (default: :obj:`20`)
        count_tokens (callable, optional): The number of tokens in a text,
            for example :obj:`lambda text: len(tokenizer.encode(text))`.
            (default: :func:`~pyg_darec.profiles.estimate_tokens`)
        skip_empty (bool, optional): Leaves out users of whom nothing is
            known, instead of raising an error. (default: :obj:`False`)
        edge_type (tuple, optional): The relation, from users to items.
            (default: :obj:`('user', 'rates', 'item')`)
        seed (int, optional): The seed of the random order.
            (default: :obj:`0`)
        time_attr (str, optional): The attribute that holds the time of each
            interaction. (default: :obj:`'time'`)

    Raises:
        ValueError: If items have no profiles, nothing is known of a user,
            the template has unknown placeholders or does not fit into the
            budget, no review belongs to a training interaction, or times
            are not one per interaction.
    """
    check_count(max_tokens=max_tokens, max_items=max_items)
    sections = ('items', 'reviews')
    writer = PromptWriter(template, sections, max_tokens, count_tokens)
    pairs = TrainingPairs(data, edge_type, seed, time_attr)
    profile = _item_profiles(data, edge_type[2], len(pairs.item_ids))
    review_of = pairs.reviews(reviews)

    def sources(user: int, items: Sequence[int]) -> list[Source]:
        out = []
        # A review right after its item: neither is of use without the other.
        for n, item in enumerate(items[:max_items], start=1):
            review = review_of.get((user, item), '')
            out.append(Source('items', f'{n}. ', profile[item]))
            out.append(Source('reviews', f'{n}. ', review))
        return out

    prompts, empty = writer.write_all(
        (
            (pairs.user_ids[user], sources(user, items))
            for user, items in enumerate(pairs.items_of_users())
        ),
        pairs.split,
    )
    if empty and not skip_empty:
        raise ValueError(
            f'Nothing is known of {len(empty)} of {len(pairs.user_ids)} '
            f'users, first id {empty[0]!r}; remove users without training '
            "interactions or pass 'skip_empty=True' (got no item with a text)"
        )
    return prompts


def _item_profiles(
    data: HeteroData, node_type: str, size: int
) -> Sequence[str]:
    profile: Any = data[node_type].get('profile')
    if not isinstance(profile, list | tuple) or len(profile) != size:
        raise ValueError(
            f"data['{node_type}'].profile needs a list of {size} texts, one "
            "per item; attach them with 'attach_profiles' "
            f"(got '{type(profile).__name__}')"
        )
    for n, text in enumerate(profile):
        if not isinstance(text, str):
            raise ValueError(
                f"data['{node_type}'].profile needs texts; that of item {n} "
                f'is none (got {text!r:.80})'
            )
    return profile
