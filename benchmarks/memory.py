"""The memory of this process, as Linux counts it."""

import ctypes
from pathlib import Path

STATUS = Path('/proc/self/status')


def _mib(entry: str) -> float:
    try:
        lines = STATUS.read_text().splitlines()
    except OSError as error:
        raise SystemExit(
            'The memory of a process can be read on Linux only'
        ) from error
    value = next(line for line in lines if line.startswith(f'{entry}:'))
    return int(value.split()[1]) / 1024


def current_mib() -> float:
    return _mib('VmRSS')


def peak_mib() -> float:
    return _mib('VmHWM')


def forget_peak() -> None:
    """From here on, the peak is that of what is held and of what comes;
    what was freed before goes back to the system.
    """
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:  # glibc
        trim(0)
    Path('/proc/self/clear_refs').write_text('5')
