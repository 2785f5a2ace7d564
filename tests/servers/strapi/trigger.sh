#!/bin/bash
# The administrator writes an entry.
set -euo pipefail
. "$(dirname "$0")/env.sh"
api=http://127.0.0.1:$PORT
token=$(curl -fsS "$api/admin/login" -H 'content-type: application/json' -d '{ "email": "a@example.com", "password": "Password-1" }' |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["data"]["token"])')
curl -fsS "$api/content-manager/collection-types/api::note.note" -H "authorization: Bearer $token" \
    -H 'content-type: application/json' -d '{ "title": "a note" }'
