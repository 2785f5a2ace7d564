#!/bin/bash
# As the image's own: Node-RED is its child, and it passes on the signal that stops the container.
trap 'kill "$child"; wait "$child"' TERM INT
node node_modules/node-red/red.js --userDir /data "$FLOWS" "$@" &
child=$!
wait "$child"
