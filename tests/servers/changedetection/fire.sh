#!/bin/bash
# A watch on a page that changes all the time, and one like it that is paused.
set -euo pipefail
. "$(dirname "$0")/env.sh"
key=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["settings"]["application"]["api_access_token"])' "$DATA/changedetection.json")

# watch NAME PAUSED
watch() {
    curl -fsS "http://127.0.0.1:$PORT/api/v1/watch" -H "x-api-key: $key" -H 'content-type: application/json' -d '{
        "url": "http://'"$HOOKHOST:$HOOKPORT/page/$1"'", "title": "'"$1"'", "paused": '"$2"',
        "time_between_check": { "seconds": 2 }, "time_between_check_use_default": false,
        "notification_urls": ["json://'"$HOOKHOST:$HOOKPORT/notify/$1"'"], "notification_title": "changed",
        "notification_body": "changed {{watch_url}}", "notification_format": "text" }'
}
watch live false
watch off true
