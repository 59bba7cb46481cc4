from pathlib import Path

import numpy as np
from split import Split


def test_random_pairs_are_distinct_and_kept(tmp_path: Path) -> None:
    split = Split.random(30, 20, 200, seed=3)
    parts = [split.train, split.val, split.test]
    assert [x.shape[1] for x in parts] == [120, 40, 40]
    cell = np.concatenate([u * 20 + i for u, i in parts])
    assert len(np.unique(cell)) == 200
    split.save(tmp_path / 'new' / 'split.npz')
    again = Split.load(tmp_path / 'new' / 'split.npz')
    assert (again.num_users, again.num_items) == (30, 20)
    for name in ('train', 'val', 'test'):
        np.testing.assert_array_equal(
            getattr(again, name), getattr(split, name)
        )
