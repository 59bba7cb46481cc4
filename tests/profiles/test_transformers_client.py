"""A real causal model, tiny and random, made in code."""

import copy
import json

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from pyg_darec.profiles import (
    ProfileStore,
    Prompt,
    RejectedError,
    TransformersClient,
    generate_profiles,
)

PROMPTS = [Prompt(n, f'item {n} ' * (n + 1), 'be short') for n in range(5)]
TEMPLATE = (
    '{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<answer>'
)
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}"
    '{% endif %}' + TEMPLATE
)


@pytest.fixture(scope='module')
def tokenizer():
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.train_from_iterator(
        [prompt.text for prompt in PROMPTS],
        trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=['<end>'],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token='<end>')


@pytest.fixture(scope='module')
def model(tokenizer):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=256,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    # Of float64, so that no rounding decides on a token.
    return LlamaForCausalLM(config).double()


@pytest.fixture
def make(model, tokenizer):
    def make(**kwargs):
        options = {'name': 'tiny', 'max_completion_tokens': 8, **kwargs}
        return TransformersClient(model, tokenizer, **options)

    return make


def by_hand(model, tokenizer, text, length):
    """Greedy decoding of one text, written out."""
    ids = tokenizer(text).input_ids
    for _ in range(length):
        with torch.no_grad():
            token = int(model(torch.tensor([ids])).logits[0, -1].argmax())
        ids.append(token)
        if token == tokenizer.eos_token_id:
            break
    return ids


def test_batches_answer_what_the_model_answers_alone(make, model, tokenizer):
    replies = make(batch_size=5).ask(PROMPTS)
    for prompt, reply in zip(PROMPTS, replies, strict=True):
        text = f'be short\n\n{prompt.text}\n\n'
        start = len(tokenizer(text).input_ids)
        ids = by_hand(model, tokenizer, text, 8)
        expected = tokenizer.decode(ids[start:], skip_special_tokens=True)
        assert reply.text == expected
        assert reply.prompt_tokens == start
        assert reply.is_cut == (ids[-1] != tokenizer.eos_token_id)


@pytest.mark.parametrize(
    ('template', 'text'),
    [
        (TEMPLATE, '<system>be short<user>item 0 <answer>'),
        (NO_SYSTEM, '<user>be short\n\nitem 0 <answer>'),
    ],
)
def test_chat_template(make, model, tokenizer, monkeypatch, template, text):
    monkeypatch.setattr(tokenizer, 'chat_template', template)
    (reply,) = make().ask(PROMPTS[:1])
    start = len(tokenizer(text).input_ids)
    ids = by_hand(model, tokenizer, text, 8)
    assert reply.prompt_tokens == start
    assert reply.text == tokenizer.decode(ids[start:], skip_special_tokens=True)


def test_attempts_differ_and_leave_the_random_state_alone(make):
    client = make()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first, again = client.ask(PROMPTS, 0), client.ask(PROMPTS, 0)
    second, third = client.ask(PROMPTS, 1), client.ask(PROMPTS, 2)
    assert first == again
    assert first != second != third
    assert second == client.ask(PROMPTS, 1)
    assert torch.equal(torch.get_rng_state(), state)


def test_prompt_that_does_not_fit(make):
    long = Prompt('long', 'item ' * 300)
    first, rejected = make().ask([PROMPTS[0], long])
    assert first == make().ask(PROMPTS[:1])[0]
    assert isinstance(rejected, RejectedError)
    assert "lower 'max_tokens' to 248" in str(rejected)


def test_model_of_a_folder(make, model, tokenizer, tmp_path):
    folder = str(tmp_path / 'model')
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    client = TransformersClient(folder, max_completion_tokens=8)
    assert client.model == folder
    assert client.ask(PROMPTS) == make().ask(PROMPTS)


def test_no_such_model(tmp_path):
    with pytest.raises(ValueError, match='can be loaded; check the name'):
        TransformersClient(str(tmp_path / 'none')).ask(PROMPTS)


def test_random_words_are_failures(make, tmp_path):
    store = tmp_path / 'store.jsonl'
    out = generate_profiles(
        PROMPTS, make(batch_size=2), store, max_attempts=2, progress=False
    )
    assert out.failed.keys() == {0, 1, 2, 3, 4}
    assert "'max_completion_tokens' cut it off" in out.failed[0]
    assert out.completion_tokens > 0


def test_trained_model_writes_profiles(tokenizer, tmp_path):
    """All the way: a model that has learned one answer by heart."""
    answer = json.dumps({'profile': 'likes tea', 'reasoning': 'item'})
    ids = [*tokenizer('\n\n' + answer).input_ids, tokenizer.eos_token_id]
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=128,
        n_embd=32,
        n_layer=2,
        n_head=2,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = GPT2LMHeadModel(config)
    texts = [tokenizer(p.text).input_ids + ids for p in PROMPTS[:3]]
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(150):
        for text in texts:
            x = torch.tensor([text])
            labels = x.clone()
            labels[0, : -len(ids) + 1] = -100
            optimizer.zero_grad()
            model(x, labels=labels).loss.backward()
            optimizer.step()
    client = TransformersClient(
        model, tokenizer, 'tea', batch_size=2, max_completion_tokens=60
    )
    prompts = [Prompt(p.id, p.text) for p in PROMPTS[:3]]
    out = generate_profiles(prompts, client, tmp_path / 's', progress=False)
    assert {p.text for p in out.profiles.values()} == {'likes tea'}
    assert len(out.profiles) == 3
    with ProfileStore(tmp_path / 's', read_only=True) as store:
        assert {a.model for a in store.current().values()} == {'tea'}


def test_wrong_arguments(model, tokenizer):
    with pytest.raises(ValueError, match="'tokenizer' needs to be"):
        TransformersClient(model)
    with pytest.raises(ValueError, match="'name' is needed"):
        TransformersClient(model, tokenizer)
    for name in ('batch_size', 'max_completion_tokens'):
        with pytest.raises(
            ValueError, match=f"'{name}' needs to be a positive"
        ):
            TransformersClient('x', **{name: 0})


def test_repr(make):
    assert repr(make()) == "TransformersClient('tiny')"


def test_a_model_that_is_passed_stays_as_it_is(model, tokenizer, make):
    """Whatever it would do by itself."""
    expected = make().ask(PROMPTS[:2])
    other = copy.deepcopy(model).train()
    other.generation_config.num_beams = 3
    other.generation_config.num_return_sequences = 2
    options = {'name': 'tiny', 'max_completion_tokens': 8}
    client = TransformersClient(other, tokenizer, **options)
    assert client.ask(PROMPTS[:2]) == expected
    assert other.training
