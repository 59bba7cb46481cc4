"""The scripts import one another by name, as those in one folder do."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / 'benchmarks'
sys.path += [str(FOLDER), str(FOLDER / 'peers')]
