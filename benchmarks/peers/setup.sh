#!/bin/sh
# The environment of the peers that need versions of their own:
#     benchmarks/peers/setup.sh [folder]
set -eu
folder=${1:-.venv-peers}
${PYTHON:-python3} -m venv "$folder"
"$folder/bin/pip" install -q --disable-pip-version-check \
    -r "$(dirname "$0")/requirements.txt"
