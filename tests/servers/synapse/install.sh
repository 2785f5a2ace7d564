#!/bin/bash
# Installs Synapse, unless it is there already; 25 s, 242 MB.
set -euo pipefail
. "$(dirname "$0")/env.sh"
version=1.163.2
if [ "$(cat "$DIR/venv/installed" 2>/dev/null)" != "$version" ]; then
    python3 -m venv --clear "$DIR/venv"
    "$DIR/venv/bin/python" -m pip install --quiet --disable-pip-version-check "matrix-synapse==$version"
    echo "$version" > "$DIR/venv/installed"
fi
