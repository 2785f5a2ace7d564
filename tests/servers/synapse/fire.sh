#!/bin/bash
# Two users with a pusher each, one of them off, in a room with a third, who speaks in trigger.sh.
. "$(dirname "$0")/env.sh"
exec python3 "$(dirname "$0")/talk.py" set-up "http://127.0.0.1:$PORT" "$DATA.room" "http://$HOOKHOST:$HOOKPORT"
