"""The history of a run in files that other programs read."""

import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.csv_logs import CSVLogger
from lightning_fabric.loggers.logger import Logger
from lightning_fabric.loggers.tensorboard import TensorBoardLogger


class RunLogs:
    r"""Writes the rows of a history to :obj:`csv/metrics.csv` and, if
    TensorBoard is installed, to :obj:`tensorboard/` in the folder of a run,
    and to the loggers of the user.

    Args:
        folder (pathlib.Path, optional): The folder of the run.
        loggers (list, optional): More loggers of Lightning Fabric.
            (default: :obj:`()`)

    Raises:
        TypeError: If one of them is none.
    """

    def __init__(
        self, folder: Path | None, loggers: Sequence[Logger] = ()
    ) -> None:
        self.own: list[Logger] = []
        self.loggers = _checked(loggers)
        if folder is None:
            return
        self._metrics = folder / 'csv' / 'metrics.csv'
        csv = CSVLogger(folder, '', 'csv', flush_logs_every_n_steps=1)
        self.own.append(csv)
        if find_spec('tensorboard') is not None:
            # Hides what an earlier process wrote, as all is written again.
            board = TensorBoardLogger(folder, '', 'tensorboard', purge_step=0)
            self.own.append(board)

    def restart(self, history: Sequence[dict[str, float]]) -> None:
        r"""Makes the run's own files those of :obj:`history`: a killed
        process has logged epochs that are not in its checkpoint.
        """
        if self.own:
            self._metrics.unlink(missing_ok=True)
        for row in history:
            self._write(self.own, row)

    def log(self, row: dict[str, float]) -> None:
        self._write([*self.own, *self.loggers], row)

    def close(self) -> None:
        for logger in [*self.own, *self.loggers]:
            logger.finalize('finished')

    @staticmethod
    def _write(loggers: Sequence[Logger], row: dict[str, float]) -> None:
        with _uninterrupted():
            for logger in loggers:
                logger.log_metrics(row, step=int(row['epoch']))


def _checked(loggers: Any) -> list[Logger]:
    is_list = isinstance(loggers, Iterable) and not isinstance(loggers, str)
    found: list[Any] = list(loggers) if is_list else []
    if not is_list or not all(hasattr(x, 'log_metrics') for x in found):
        raise TypeError(
            "'loggers' needs to be a list of loggers of Lightning Fabric, "
            f"such as '[CSVLogger(folder)]' (got {loggers!r:.80})"
        )
    return found


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits for the end of the block. TensorBoard hands rows to a thread
    by a queue, and a KeyboardInterrupt just after that took its lock may leave
    it locked: then closing the log waits forever.
    """
    known = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or not callable(known):
        yield
        return
    caught: list[tuple[Any, Any]] = []
    signal.signal(signal.SIGINT, lambda *args: caught.append(args))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, known)
        if caught:
            known(*caught[0])
