#!/bin/bash
# Installs changedetection.io, unless it is there already; 80 s, 674 MB.
set -euo pipefail
. "$(dirname "$0")/env.sh"
version=0.60.10
if [ "$(cat "$DIR/venv/installed" 2>/dev/null)" != "$version" ]; then
    python3 -m venv --clear "$DIR/venv"
    "$DIR/venv/bin/python" -m pip install --quiet --disable-pip-version-check "changedetection.io==$version"
    echo "$version" > "$DIR/venv/installed"
fi
