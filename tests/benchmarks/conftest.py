"""The scripts import one another by name, as those in one folder do."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / 'benchmarks'
sys.path += [str(FOLDER), str(FOLDER / 'peers')]


@pytest.fixture
def no_training() -> Callable[..., None]:
    """What to put in the place of 'fit' where everything is done."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError('trained again')

    return refuse
