#!/bin/bash
# Somebody says something in the room.
. "$(dirname "$0")/env.sh"
exec python3 "$(dirname "$0")/talk.py" speak "http://127.0.0.1:$PORT" "$DATA.room"
