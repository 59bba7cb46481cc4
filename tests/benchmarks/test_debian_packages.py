from pathlib import Path

import debian_packages
import pytest
from debian_packages import read_needs, read_packages

INDEX = """\
Package: libz
Description: compression, in
 two lines

Package: app
Source: app (1.2)
Pre-Depends: libz
Depends: libx (>= 2.0) | libz, gone, app
Recommends: liby:any

Package: app-small
Source: app
Depends: libz

Package: app-dbg
Section: contrib/debug
Depends: app

Package: libx

Package: liby
Depends: libx
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / 'Packages').write_text(INDEX, 'utf-8')
    return tmp_path / 'Packages'


def test_needs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = read_packages(path)
    assert packages['libz']['Description'].startswith('compression, in\n')
    monkeypatch.setattr(debian_packages, 'MAX_SHARE', 1.0)
    needs = read_needs(packages)
    assert needs.pop('app') == ['libx', 'liby', 'libz']
    assert needs == {'libz': [], 'libx': [], 'liby': ['libx']}
    monkeypatch.setattr(debian_packages, 'MAX_SHARE', 0.5)  # libx: two of four
    assert read_needs(packages)['app'] == ['liby', 'libz']


def test_tables_for_prepare(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian_packages, 'MAX_SHARE', 1.0)
    words = ['debian_packages.py', str(path), str(tmp_path / 'tables')]
    monkeypatch.setattr('sys.argv', words)
    debian_packages.main()
    lines = (tmp_path / 'tables' / 'needs.csv').read_text().splitlines()
    assert lines[:2] == ['package,need', 'app,libx']
    assert len(lines) == 5
    lines = (tmp_path / 'tables' / 'packages.csv').read_text().splitlines()
    assert lines[:2] == ['need,name,what', 'libx,libx,']


def test_something_else(path: Path) -> None:
    path.write_text('# Not an index\n\nPackage: a\n')
    with pytest.raises(ValueError, match=r"Packages' needs to be an unpacked"):
        read_packages(path)
