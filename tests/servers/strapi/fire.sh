#!/bin/bash
# The first administrator, a webhook for new entries, and one like it that is off.
set -euo pipefail
. "$(dirname "$0")/env.sh"
api=http://127.0.0.1:$PORT
token=$(curl -fsS "$api/admin/register-admin" -H 'content-type: application/json' -d '{
    "firstname": "A", "lastname": "B", "email": "a@example.com", "password": "Password-1" }' |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["data"]["token"])')

# webhook METHOD PATH NAME MORE
webhook() {
    curl -fsS -X "$1" "$api/admin/webhooks$2" -H "authorization: Bearer $token" -H 'content-type: application/json' -d '{
        "name": "'"$3"'", "url": "http://'"$HOOKHOST:$HOOKPORT/$3"'", "headers": {}, "events": ["entry.create"]'"${4:-}"' }'
}
webhook POST '' live
off=$(webhook POST '' off | python3 -c 'import json, sys; print(json.load(sys.stdin)["data"]["id"])')
webhook PUT "/$off" off ', "isEnabled": false'
