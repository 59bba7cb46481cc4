import csv
import os
import signal
import time

import pytest
from lightning_fabric.loggers.csv_logs import CSVLogger

from pyg_darec.train import fit
from pyg_darec.train.logs import RunLogs

ROWS = [
    {'epoch': 1, 'loss': 0.5},
    {'epoch': 2, 'loss': 0.25, 'Recall@20': 0.125},
]


def read(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def test_ctrl_c_does_not_tear_a_row(tmp_path):
    class Impatient(CSVLogger):
        def log_metrics(self, metrics, step=None):
            os.kill(os.getpid(), signal.SIGINT)
            super().log_metrics(metrics, step)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        logs = RunLogs(tmp_path, [Impatient(tmp_path, '', 'other')])
        with pytest.raises(KeyboardInterrupt):
            logs.log(ROWS[0])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    logs.close()
    for name in ('csv', 'other'):
        [row] = read(tmp_path / name / 'metrics.csv')
        assert row['loss'] == '0.5'


def test_restart_forgets_what_is_not_in_the_history(tmp_path):
    logs = RunLogs(tmp_path)
    logs.restart([])
    for row in [*ROWS, {'epoch': 3, 'loss': 9.0}]:
        logs.log(row)
    # Killed here: nothing is closed.
    logs = RunLogs(tmp_path)
    logs.restart(ROWS)
    logs.log({'epoch': 3, 'loss': 0.125, 'late': 1.0})
    logs.close()
    rows = read(tmp_path / 'csv' / 'metrics.csv')
    assert [row['epoch'] for row in rows] == ['1', '2', '3']
    assert [row['loss'] for row in rows] == ['0.5', '0.25', '0.125']
    assert [row['Recall@20'] for row in rows] == ['', '0.125', '']


def test_tensorboard(tmp_path):
    event_accumulator = pytest.importorskip(
        'tensorboard.backend.event_processing.event_accumulator'
    )
    for last in (9.0, 0.125):
        logs = RunLogs(tmp_path)
        logs.restart(ROWS)
        logs.log({'epoch': 3, 'loss': last})
        logs.close()
        # Files are read in the order of names, which begin with the second.
        time.sleep(1.01)
    events = event_accumulator.EventAccumulator(str(tmp_path / 'tensorboard'))
    events.Reload()
    scalars = [(e.step, e.value) for e in events.Scalars('loss')]
    assert scalars == [(1, 0.5), (2, 0.25), (3, 0.125)]


def test_without_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setattr('pyg_darec.train.logs.find_spec', lambda name: None)
    logs = RunLogs(tmp_path)
    logs.restart(ROWS)
    logs.close()
    assert [path.name for path in tmp_path.iterdir()] == ['csv']


def test_fit_logs_every_epoch(tmp_path, graph, model):
    extra = CSVLogger(tmp_path / 'mine', '', 'x', flush_logs_every_n_steps=1)
    result = fit(
        model,
        graph,
        epochs=4,
        device='cpu',
        run_dir=tmp_path / 'run',
        loggers=[extra],
        progress=False,
    )
    rows = read(tmp_path / 'run' / 'csv' / 'metrics.csv')
    assert rows == read(tmp_path / 'mine' / 'x' / 'metrics.csv')
    assert [float(row['loss']) for row in rows] == [
        row['loss'] for row in result.history
    ]
    assert float(rows[2]['Recall@20']) == result.history[2]['Recall@20']


@pytest.mark.parametrize('loggers', ['csv', None, ['csv'], CSVLogger])
def test_what_is_no_list_of_loggers(loggers, graph, model):
    with pytest.raises(TypeError, match="'loggers' needs to be a list"):
        fit(model, graph, epochs=1, progress=False, loggers=loggers)


def test_what_cannot_be_called(graph, model):
    with pytest.raises(TypeError, match=r"'watch' .*got 3"):
        fit(model, graph, epochs=1, progress=False, watch=3)
