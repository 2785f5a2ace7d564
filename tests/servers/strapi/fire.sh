#!/bin/bash
# The first administrator, a webhook for new entries, and one like it that is off.
set -euo pipefail
. "$(dirname "$0")/env.sh"
api=http://127.0.0.1:$PORT
token=$(curl -fsS "$api/admin/register-admin" -H 'content-type: application/json' -d '{
    "firstname": "A", "lastname": "B", "email": "a@example.com", "password": "Password-1" }' |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["data"]["token"])')

# webhook PATH ENABLED
webhook() {
    curl -fsS "$api/admin/webhooks" -H "authorization: Bearer $token" -H 'content-type: application/json' -d '{
        "name": "'"$1"'", "url": "http://'"$HOOKHOST:$HOOKPORT/$1"'", "headers": {}, "events": ["entry.create"], "isEnabled": '"$2"' }'
}
webhook live true
webhook off false
