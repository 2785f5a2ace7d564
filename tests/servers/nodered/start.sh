#!/bin/bash
# start.sh APP DATA PORT: becomes Node-RED, on 127.0.0.1:PORT, its state in DATA.
PORT=$3 exec node "$1/node_modules/node-red/red.js" --userDir "$2" --settings "$(dirname "$0")/settings.js"
