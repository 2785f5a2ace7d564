#!/bin/bash
# Installs Buildbot with a worker, unless it is there already. 20 s, 110 MB.
set -euo pipefail
. "$(dirname "$0")/env.sh"
version=4.3.0
if [ "$(cat "$DIR/venv/installed" 2>/dev/null)" != "$version" ]; then
    python3 -m venv "$DIR/venv"
    "$DIR/venv/bin/python" -m pip install -q --disable-pip-version-check "buildbot==$version" "buildbot-worker==$version" "buildbot-www==$version"
    echo "$version" > "$DIR/venv/installed"
fi
