"""How often the tests that kill processes do so. With ``KILLS=200 pytest -k
killed_at_random_moments``, each kills 200 times.
"""

import os

KILLS = int(os.environ.get('KILLS', '8'))
