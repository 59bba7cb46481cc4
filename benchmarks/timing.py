"""What the benchmarks share: fair timing and a description of the machine."""

import platform
import statistics
import time
from collections.abc import Callable

import torch


def alternate(
    functions: dict[str, Callable[[], object]],
    rounds: int,
    warmup: int = 2,
    settle: int = 0,
) -> dict[str, list[float]]:
    """Seconds of every call. The functions take turns, so that a machine
    that speeds up or slows down does so for all of them. Before each timed
    call there are :obj:`settle` others of the same function, so that none
    pays for the caches and the memory that the one before it left behind.
    """
    for _ in range(warmup):
        for function in functions.values():
            function()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            for _ in range(settle):
                function()
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def summary(values: list[float], scale: float = 1e3) -> dict[str, float]:
    """Median, minimum and maximum, in milliseconds by default."""
    return {
        'median': scale * statistics.median(values),
        'min': scale * min(values),
        'max': scale * max(values),
    }


def synchronize(device: torch.device | str) -> None:
    """Waits for what a GPU was told to do, as a clock should."""
    if torch.device(device).type == 'cuda':
        torch.cuda.synchronize(device)


def warm_seconds(
    function: Callable[[], object],
    repeats: int = 9,
    device: torch.device | str = 'cpu',
) -> list[float]:
    """Of so many calls after a first one."""
    function()
    seconds = []
    for _ in range(repeats):
        synchronize(device)
        start = time.perf_counter()
        function()
        synchronize(device)
        seconds.append(time.perf_counter() - start)
    return seconds


def median_seconds(
    function: Callable[[], object],
    repeats: int = 9,
    device: torch.device | str = 'cpu',
) -> float:
    return statistics.median(warm_seconds(function, repeats, device))


def describe(values: list[float]) -> str:
    s = summary(values)
    return f'{s["median"]:9.1f} ms  ({s["min"]:.1f} to {s["max"]:.1f})'


def print_speedup(
    seconds: dict[str, list[float]], slow: str, fast: str, width: int
) -> float:
    """Prints and returns the median of the ratios, round by round."""
    pairs = zip(seconds[slow], seconds[fast], strict=True)
    ratios = sorted(a / b for a, b in pairs)
    middle = ratios[len(ratios) // 2]
    print(
        f'{"speed-up":>{width}} {middle:9.1f} x   '
        f'({ratios[0]:.1f} to {ratios[-1]:.1f})'
    )
    return middle


def machine() -> str:
    processor = platform.processor() or platform.machine()
    try:
        with open('/proc/cpuinfo') as file:
            names = [line for line in file if line.startswith('model name')]
        processor = names[0].split(':')[1].strip()
    except (OSError, IndexError):
        pass
    if torch.cuda.is_available():
        processor = f'{torch.cuda.get_device_name()}, {processor}'
    return (
        f'{processor}, {torch.get_num_threads()} threads, '
        f'torch {torch.__version__}'
    )
