"""Seeds of seeds."""

import numpy as np


def derive_seed(*entropy: int) -> int:
    r"""One seed for a stream named by several numbers, such as
    :obj:`(seed, epoch)`. The streams of neighbouring numbers are unrelated.

    Raises:
        ValueError: If a number is negative.
    """
    sequence = np.random.SeedSequence(list(entropy))
    # 63 bits: what every 'torch.Generator' takes.
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))
