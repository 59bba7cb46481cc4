from collections.abc import Iterable, Mapping
from typing import Any

from torch_geometric.data import HeteroData

from pyg_darec.checks import check_count
from pyg_darec.graph import EDGE_TYPE, EdgeType
from pyg_darec.profiles.cell import is_missing, to_text
from pyg_darec.profiles.clean_text import clean_text
from pyg_darec.profiles.prompt import Prompt
from pyg_darec.profiles.prompt_template import ITEM_TEMPLATE, PromptTemplate
from pyg_darec.profiles.prompt_writer import PromptWriter, Source
from pyg_darec.profiles.token_budget import TokenCounter, estimate_tokens
from pyg_darec.profiles.training_pairs import Reviews, TrainingPairs


def item_prompts(
    data: HeteroData,
    metadata: Mapping[Any, Any] | None = None,
    reviews: Reviews | None = None,
    template: PromptTemplate = ITEM_TEMPLATE,
    max_tokens: int = 3000,
    max_reviews: int = 20,
    count_tokens: TokenCounter = estimate_tokens,
    skip_empty: bool = False,
    edge_type: EdgeType = EDGE_TYPE,
    seed: int = 0,
    time_attr: str = 'time',
) -> list[Prompt]:
    r"""Asks for the profile of each item, from what a catalogue says about it
    and from reviews of **training interactions**; other reviews are dropped.

    .. code-block:: python

        metadata = items.set_index('item').to_dict('index')
        reviews = table[['user', 'item', 'text']].itertuples(index=False)
        prompts = item_prompts(data, metadata, reviews)

    The newest reviews of an item come first if the relation has
    :obj:`time_attr`; otherwise their order is random. Texts too long for their
    share of the budget are cut, and the last ones left out where shares would
    become too small to be of use.

    Args:
        data (HeteroData): The split data, with ids in
            :obj:`data['item'].id`; without, node indices are the ids.
        metadata (dict, optional): By item id, a text or a dictionary of
            fields. (default: :obj:`None`)
        reviews (list, optional): Triples of user id, item id and text.
            (default: :obj:`None`)
        template (PromptTemplate, optional): The words around the data, with
            the placeholders :obj:`$metadata` and :obj:`$reviews`.
        max_tokens (int, optional): The most tokens of a prompt, system
            message included. (default: :obj:`3000`)
        max_reviews (int, optional): The most reviews in a prompt.
            (default: :obj:`20`)
        count_tokens (callable, optional): The number of tokens in a text,
            for example :obj:`lambda text: len(tokenizer.encode(text))`.
            (default: :func:`~pyg_darec.profiles.estimate_tokens`)
        skip_empty (bool, optional): Leaves out items of which nothing is
            known, instead of raising an error. (default: :obj:`False`)
        edge_type (tuple, optional): The relation, from users to items.
            (default: :obj:`('user', 'rates', 'item')`)
        seed (int, optional): The seed of the random order.
            (default: :obj:`0`)
        time_attr (str, optional): The attribute that holds the time of each
            interaction. (default: :obj:`'time'`)

    Raises:
        ValueError: If nothing is known of an item, the template has unknown
            placeholders or does not fit into the budget, :obj:`metadata`
            knows no item, no review belongs to a training interaction, or
            times are not one per interaction.
    """
    check_count(max_tokens=max_tokens, max_reviews=max_reviews)
    sections = ('metadata', 'reviews')
    writer = PromptWriter(template, sections, max_tokens, count_tokens)
    pairs = TrainingPairs(data, edge_type, seed, time_attr)
    ids, metadata = pairs.item_ids, {} if metadata is None else metadata
    if len(metadata) > 0 and not any(item_id in metadata for item_id in ids):
        raise ValueError(
            f"'metadata' knows none of the {len(ids)} items; its keys need "
            f"to be ids as in data['{edge_type[2]}'].id, like {ids[:3]} "
            f'(got keys like {list(metadata)[:3]})'
        )
    review_of = pairs.reviews(reviews)
    split = None if reviews is None else pairs.split

    def sources(item: int, users: Iterable[int]) -> list[Source]:
        texts = [review_of[u, item] for u in users if (u, item) in review_of]
        return [
            *_fields(metadata.get(ids[item])),
            *(Source('reviews', '- ', text) for text in texts[:max_reviews]),
        ]

    prompts, empty = writer.write_all(
        (
            (ids[item], sources(item, users))
            for item, users in enumerate(pairs.users_of_items())
        ),
        split,
    )
    if empty and not skip_empty:
        raise ValueError(
            f'Nothing is known of {len(empty)} of {len(ids)} items, first id '
            f"{empty[0]!r}; add them to 'metadata' or pass 'skip_empty=True' "
            '(got no text and no training review)'
        )
    return prompts


def _fields(value: Any) -> Iterable[Source]:
    fields = value if isinstance(value, Mapping) else {'': value}
    for name, field in fields.items():
        prefix = f'- {clean_text(str(name))}: ' if name else '- '
        if not is_missing(field):
            yield Source('metadata', prefix, to_text(field))
