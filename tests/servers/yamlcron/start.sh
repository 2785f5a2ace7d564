#!/bin/bash
. "$(dirname "$0")/env.sh"
server=$(cd "$(dirname "$0")" && pwd)/server.py
into_data
exec python3 "$server" "$PORT" "$@"
