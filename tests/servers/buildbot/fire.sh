#!/bin/bash
# The schedulers are in master.cfg; this switches one of them off, as the button on its page does.
set -euo pipefail
. "$(dirname "$0")/env.sh"
api=http://127.0.0.1:$PORT/api/v2/schedulers
id=$(curl -fsS "$api" | python3 -c 'import json, sys; print(next(s["schedulerid"] for s in json.load(sys.stdin)["schedulers"] if s["name"] == "off"))')
curl -fsS "$api/$id" -H 'content-type: application/json' \
    -d '{ "jsonrpc": "2.0", "id": 1, "method": "enable", "params": { "enabled": false } }'
# What it had asked for is built before it is off.
sleep 3
