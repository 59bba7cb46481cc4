"""Settings of all tests."""

import os
import threading

import torch
from hypothesis import HealthCheck, settings
from tqdm import tqdm

# Workers share the cores instead of competing for them.
_WORKERS = int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', '1'))
torch.set_num_threads(max(torch.get_num_threads() // _WORKERS, 1))

# Processes share the lock that it has by default, and a child that a test
# kills may hold it.
tqdm.set_lock(threading.RLock())

# Kernels for GPUs run without one, slowly. Read when Triton is imported.
if not torch.cuda.is_available():
    os.environ['TRITON_INTERPRET'] = '1'

# A busy machine must not fail a test: no deadline, slow inputs are fine. The
# same examples every time, so that a red run can be repeated.
settings.register_profile(
    'pyg_darec',
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile('pyg_darec')
