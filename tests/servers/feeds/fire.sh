#!/bin/bash
# A feed with a webhook, and an archived one with another.
. "$(dirname "$0")/env.sh"

# feed TITLE ARCHIVED
feed() {
    curl -fsS "http://127.0.0.1:$PORT/feed" -d '{ "title": "'"$1"'", "archived": '"$2"', "webhook": "http://'"$HOOKHOST:$HOOKPORT/$1"'" }'
}
feed live false && feed off true
