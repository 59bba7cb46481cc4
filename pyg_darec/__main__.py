"""``python -m pyg_darec``."""

import sys

from pyg_darec.cli.main import main

if __name__ == '__main__':
    sys.exit(main())
