"""Which packages of Debian need which others, as a table to recommend from.

    apt-get update
    apt-get indextargets --format '$(FILENAME)' 'Created-By: Packages'
    python benchmarks/debian_packages.py Packages data/debian-tables

``Packages`` is such an index of a release, unpacked (by ``lz4 -d``, say). Of
the packages of one source, the one with the most needs counts; what a fifth of
all needs is left out. Writes ``needs.csv`` and ``packages.csv`` for
``pyg-darec prepare``, the latter with what each package is.
"""

import argparse
import re
from collections import Counter
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

import pandas as pd

RELATIONS = ('Pre-Depends', 'Depends', 'Recommends')
# Parts of other packages, and names that packages once had.
LEFT_OUT = ('debug', 'localization', 'oldlibs')
MAX_SHARE = 0.2


def read_packages(path: Path) -> dict[str, Message]:
    r"""The fields of each package, by its name."""
    stanzas = path.read_text('utf-8').strip().split('\n\n')
    parsed = map(HeaderParser().parsestr, stanzas)
    packages = {fields['Package']: fields for fields in parsed}
    if None in packages:
        raise ValueError(
            f"'{path}' needs to be an unpacked index of packages (got a part "
            "without 'Package')"
        )
    return packages


def needs_of(name: str, packages: dict[str, Message]) -> Iterator[str]:
    r"""The packages that one needs, of alternatives the first."""
    for field in RELATIONS:
        for part in packages[name].get(field, '').split(','):
            found = re.match(r'\s*([a-z0-9.+-]+)', part)
            if found and found[1] in packages and found[1] != name:
                yield found[1]


def read_needs(packages: dict[str, Message]) -> dict[str, list[str]]:
    r"""What one package of each source needs."""
    chosen: dict[str, tuple[str, list[str]]] = {}
    for name, fields in packages.items():
        if fields.get('Section', '').split('/')[-1] in LEFT_OUT:
            continue
        needs = sorted(set(needs_of(name, packages)))
        source = fields.get('Source', name).split()[0]
        if source not in chosen or len(needs) > len(chosen[source][1]):
            chosen[source] = name, needs
    count = Counter(x for _, needs in chosen.values() for x in needs)
    most = MAX_SHARE * len(chosen)
    return {
        name: [x for x in needs if count[x] < most]
        for name, needs in chosen.values()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('packages', type=Path, help='the unpacked index')
    parser.add_argument('output', type=Path, help='the folder of the tables')
    args = parser.parse_args()
    packages = read_packages(args.packages)
    needs = read_needs(packages)
    pairs = [(name, x) for name, found in needs.items() for x in found]
    args.output.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(pairs, columns=['package', 'need'])
    table.to_csv(args.output / 'needs.csv', index=False)
    names = sorted({need for _, need in pairs})
    texts = [packages[name].get('Description', '') for name in names]
    table = pd.DataFrame({'need': names, 'name': names, 'what': texts})
    table.to_csv(args.output / 'packages.csv', index=False)
    print(f'{len(needs)} packages, {len(names)} needs, {len(pairs)} pairs')


if __name__ == '__main__':
    main()
