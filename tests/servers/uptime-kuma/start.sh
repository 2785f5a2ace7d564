#!/bin/bash
# Becomes Uptime Kuma.
. "$(dirname "$0")/env.sh"
into_data
UPTIME_KUMA_DB_TYPE=sqlite exec node "$DIR/app/server/server.js" --data-dir="$DATA/" --host=127.0.0.1 --port="$PORT" "$@"
