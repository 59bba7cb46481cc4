from pathlib import Path
from typing import Any, Literal

from torch_geometric.data import HeteroData

from pyg_darec.cli.item_texts import check_texts
from pyg_darec.cli.naming_sep import naming_sep
from pyg_darec.cli.output import say
from pyg_darec.cli.paths import profile_files
from pyg_darec.datasets.folder import load_data
from pyg_darec.datasets.reviews import read_reviews
from pyg_darec.profiles import (
    ChatClient,
    Client,
    Generation,
    TransformersClient,
    complete_profiles,
    generate_profiles,
    item_prompts,
    user_prompts,
)
from pyg_darec.profiles.prompt_template import STAND_IN


def profile(
    data: Path,
    model: str,
    *,
    local: bool = False,
    base_url: str | None = None,
    nodes: Literal['all', 'item', 'user'] = 'all',
    reviews: Path | None = None,
    review_user: str = 'user',
    review_item: str = 'item',
    review_text: str = 'text',
    sep: str | None = None,
    max_tokens: int = 3000,
    max_completion_tokens: int = 512,
    concurrency: int = 8,
    device: str = 'cpu',
    options: dict[str, Any] | None = None,
    price: tuple[float, ...] | None = None,
    retry_failed: bool = False,
    dry_run: bool = False,
) -> None:
    """Have a language model write profiles of items and users.

    Items come first, from their texts and the reviews of training
    interactions; then users, from the profiles of their training items and
    their reviews of them. Answers are kept in the data folder as they come.
    Interrupt it at any time: the same command asks only what has no answer.
    An endpoint's key is read from $OPENAI_API_KEY.

    Args:
        data: the data folder
        model: the name of the model at the endpoint; with --local, the name
            or the folder of a transformers model
        local: run the model here, with transformers
        base_url: the address of an endpoint that speaks the OpenAI chat
            protocol, such as http://localhost:11434/v1; OpenAI if left out
        nodes: whose profiles, 'item', 'user' or 'all'
        reviews: a CSV or Parquet file with one review a row
        review_user: its column of user ids
        review_item: its column of item ids
        review_text: its column of texts
        sep: what separates its columns, if it is no comma
        max_tokens: the most tokens of a prompt
        max_completion_tokens: the most tokens of an answer
        concurrency: the most requests at once, of an endpoint
        device: the device of a local model
        options: more fields of a request, such as '{temperature: 0}'
        price: the price of a million tokens read, and of a million written,
            to show the cost
        retry_failed: ask again where no profile could be had before
        dry_run: ask nothing; print the first prompt and estimate the tokens;
            an item profile that is still to be written counts as 100 words
    """
    if price is not None and (len(price) > 2 or min(price) < 0):
        raise ValueError(
            "'price' needs one or two numbers of at least 0 (got "
            f'{list(price)})'
        )
    client: Client
    if local:
        client = TransformersClient(
            model, max_completion_tokens=max_completion_tokens, device=device
        )
    else:
        client = ChatClient(
            model,
            base_url,
            max_concurrency=concurrency,
            max_completion_tokens=max_completion_tokens,
            options=options,
        )
    graph = load_data(data, embeddings=False)
    check_texts(data, graph)
    texts = None
    if reviews is not None:
        with naming_sep('--sep'):
            texts = read_reviews(
                reviews, review_user, review_item, review_text, sep
            )
    files = profile_files(data, existing=False)
    plan: Generation | None = None
    for kind in ('item', 'user') if nodes == 'all' else (nodes,):
        stores = profile_files(data)
        stores.pop('user', None)  # to be written anew
        if kind == 'item':
            item = complete_profiles(graph)['item']
            known = dict(zip(item.id, item.profile, strict=True))
            prompts = item_prompts(
                graph, known, texts, max_tokens=max_tokens, skip_empty=True
            )
        else:
            if plan is None:
                complete_profiles(graph, stores)
            else:
                _attach_planned(graph, plan)
            prompts = user_prompts(
                graph, texts, max_tokens=max_tokens, skip_empty=True
            )
        result = generate_profiles(
            prompts,
            client,
            files[kind],
            retry_failed=retry_failed,
            dry_run=dry_run,
            price=None if price is None else (price[0], price[-1]),
        )
        say(f'{kind}s: {result}')
        plan = result if dry_run else None


def _attach_planned(graph: HeteroData, plan: Generation) -> None:
    """Item profiles as long as they will be, for prompts of users that no
    dry run takes for shorter than they can become.
    """
    item = graph['item']
    texts = {key: profile.text for key, profile in plan.profiles.items()}
    texts |= {prompt.id: STAND_IN for prompt in plan.pending}
    item.profile = [
        texts.get(key, own)
        for key, own in zip(item.id, item.profile, strict=True)
    ]
