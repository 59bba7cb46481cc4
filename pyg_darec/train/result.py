"""What training hands back."""

from dataclasses import dataclass, field


@dataclass
class FitResult:
    r"""The outcome of :func:`~pyg_darec.train.fit`.

    Args:
        history (list of dict): One row an epoch: :obj:`'epoch'` (counted
            from 1), the means of the :obj:`'loss'` and of each of its terms,
            the :obj:`'seconds'` that training took and, in epochs that end
            in an evaluation, the validation metrics.
        monitor (str, optional): The metric that chose the best epoch;
            :obj:`None` if there are no validation interactions.
    """

    history: list[dict[str, float]] = field(repr=False)
    monitor: str | None
    best_epoch: int = field(init=False)
    """The epoch that the model's weights come from, which is the first one
    with the highest value of :attr:`monitor`, or else the last one."""
    best_metrics: dict[str, float] = field(init=False)
    """The validation metrics of that epoch; empty without validation."""

    def __post_init__(self) -> None:
        evaluated = self.evaluations
        if self.monitor is None or not evaluated:
            self.best_epoch, self.best_metrics = len(self.history), {}
            return
        best = max(evaluated, key=lambda row: row[str(self.monitor)])
        self.best_epoch = int(best['epoch'])
        self.best_metrics = {k: v for k, v in best.items() if '@' in k}

    @property
    def evaluations(self) -> list[dict[str, float]]:
        r"""The rows of :attr:`history` that hold validation metrics."""
        return [row for row in self.history if self.monitor in row]

    @property
    def num_stale(self) -> int:
        r"""The number of evaluations since the best one."""
        return sum(row['epoch'] > self.best_epoch for row in self.evaluations)
