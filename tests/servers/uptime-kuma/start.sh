#!/bin/bash
# Becomes Uptime Kuma, which looks for its pages where it is started.
. "$(dirname "$0")/env.sh"
mkdir -p "$DATA" && cd "$DIR/app" || exit 1
UPTIME_KUMA_DB_TYPE=sqlite exec node server/server.js --data-dir="$DATA/" --host=127.0.0.1 --port="$PORT" "$@"
