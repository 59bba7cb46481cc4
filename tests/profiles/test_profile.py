import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyg_darec.profiles import Profile, parse_profile

GOOD = '{"profile": "likes {tea}", "reasoning": "bought \\"tea\\""}'
FORM = '{"profile": "...", "reasoning": "…"}'
OTHER = '{"profile": "likes mugs", "reasoning": "bought one"}'
EXPECTED = Profile('likes {tea}', 'bought "tea"')


@pytest.mark.parametrize(
    'reply',
    [
        GOOD,
        f'\n {GOOD} \n',
        f'```json\n{GOOD}\n```',
        f'Here is {{the}} profile:\n{GOOD}\nI hope that it helps {{x}}!',
        f'<think>{{"a": 1}} {{"b"</think>{GOOD}',
        json.dumps({**json.loads(GOOD), 'more': [1]}, indent=2),
        f'<think>I answer as {FORM}. Or {OTHER}?</think>\n{GOOD}',
        f'I answer as {FORM}. Or {OTHER}?</think>\n{GOOD}',
        f'<think>a</think>{OTHER}<think>b</think>{GOOD}',
        f'First {OTHER}, better {GOOD}, in the form {FORM}',
        f'{GOOD} and not {{"profile": "a"}} or {{"profile": "a", "reas',
        f'{"{" * 600} {GOOD}',
    ],
)
def test_reads(reply):
    assert parse_profile(reply) == EXPECTED


@pytest.mark.parametrize(
    ('reply', 'message'),
    [
        ('', 'The reply is empty'),
        ('I cannot do that.', 'no complete JSON object'),
        (GOOD[:-10], 'no complete JSON object'),
        ('{"profil": "a"}', 'no complete JSON object'),
        ('{"profile": "a"}', "text under 'reasoning'"),
        ('{"profile": " \\n", "reasoning": "b"}', "text under 'profile'"),
        ('{"profile": ["a"], "reasoning": "b"}', "text under 'profile'"),
        ('{"profile": "a", "reasoning": null}', "text under 'reasoning'"),
        (FORM, r"text under 'profile' \(got '...'\)"),
        ('{"profile": "a", "reasoning": "…"}', "text under 'reasoning'"),
        (f'<think>I answer {GOOD}', 'no complete JSON object'),
        (f'<think>a</think> <think>{GOOD}', 'no complete JSON object'),
        (f'{GOOD} {"x" * 100_000}', 'too long'),
    ],
)
def test_refuses(reply, message):
    with pytest.raises(ValueError, match=message):
        parse_profile(reply)


@pytest.mark.parametrize('part', ['{', '{"a":', '{"a":[', '{"', '{"\\"', '['])
def test_hostile_reply_takes_no_time(part):
    start = time.monotonic()
    with pytest.raises(ValueError, match='no complete JSON object'):
        parse_profile(part * (100_000 // len(part)))
    assert time.monotonic() - start < 10


@given(st.text(min_size=1), st.text(), st.text())
def test_any_text_goes_through(profile, before, after):
    reply = json.dumps({'profile': f'p {profile}', 'reasoning': 'r'})
    before = before.replace('{', '')
    out = parse_profile(f'{before}{reply}{after}')
    assert out.text.startswith('p')
    assert out.text.encode()  # no half of a surrogate pair is left
