#!/bin/bash
# Installs Node-RED, unless it is there already. Needs Node.js 18.5 or newer; 15 s, 98 MB.
set -euo pipefail
. "$(dirname "$0")/env.sh"
version=4.1.8
if [ "$(cat "$DIR/app/installed" 2>/dev/null)" != "$version" ]; then
    npm install --prefix "$DIR/app" --no-audit --no-fund --loglevel=error "node-red@$version"
    echo "$version" > "$DIR/app/installed"
fi
