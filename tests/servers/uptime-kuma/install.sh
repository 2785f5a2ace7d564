#!/bin/bash
# Installs Uptime Kuma, unless it is there already. Needs Node.js and, for its database driver, a C++ compiler and Node's
# headers; 3 min, 270 MB.
set -euo pipefail
. "$(dirname "$0")/env.sh"
version=2.0.0-dev.0
[ "$(cat "$DIR/app/installed" 2>/dev/null)" != "$version" ] || exit 0
mkdir -p "$DIR/app" && cd "$DIR/app"
npm pack --silent "uptime-kuma@$version" > /dev/null
tar --strip-components=1 -xzf "uptime-kuma-$version.tgz"
# Some migrations are packed one folder too high.
cp -n db/patch-*.sql db/old_migrations/
npm install --omit=dev --legacy-peer-deps --no-audit --no-fund --loglevel=error --ignore-scripts
# npm may not run install scripts; and there may be no prebuilt driver to be had.
headers=$(dirname "$(dirname "$(command -v node)")")
(cd node_modules/@louislam/sqlite3 && ../../.bin/node-pre-gyp rebuild --build-from-source --nodedir="$headers" > /dev/null 2>&1)
echo "$version" > installed
