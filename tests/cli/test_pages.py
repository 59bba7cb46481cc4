"""Every command of the README and of the tutorial."""

import re
import shlex
from pathlib import Path

import pytest
from cli.conftest import run
from cli.shop import MODEL

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r'^```bash\n(.*?)^```$', re.M | re.S)


def commands(page: Path) -> list[list[str]]:
    """What a reader would type, without the name of the program."""
    text = page.read_text(encoding='utf-8')
    text = '\n'.join(BLOCK.findall(text)).replace('\\\n', ' ')
    lines = [shlex.split(line, comments=True) for line in text.splitlines()]
    return [line[1:] for line in lines if line[:1] == ['pyg-darec']]


@pytest.mark.parametrize(
    ('page', 'number'), [('README.md', 4), ('docs/tutorial.md', 20)]
)
def test_page(page: str, number: int, shop: Path, monkeypatch, capsys) -> None:
    # The name on a hub is a folder here, so that nothing is downloaded.
    (shop / 'sentence-transformers').mkdir()
    (shop / 'sentence-transformers/all-MiniLM-L6-v2').symlink_to(MODEL)
    found = commands(ROOT / page)
    assert len(found) == number
    for command in found:
        run(*command)
    out = capsys.readouterr().out
    assert 'user 1000\n   1. Blue mug no. ' in out
