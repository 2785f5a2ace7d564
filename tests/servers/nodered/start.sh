#!/bin/bash
# Becomes Node-RED.
. "$(dirname "$0")/env.sh"
into_data
[ -f settings.js ] || cat > settings.js <<'JS'
module.exports = {
    uiHost: "127.0.0.1",
    uiPort: Number(process.env.PORT),
    flowFile: "flows.json",
    credentialSecret: "for tests only",
    telemetry: { enabled: false, updateNotification: false },
    logging: { console: { level: "info", metrics: false, audit: false } },
};
JS
PORT=$PORT exec node "$DIR/app/node_modules/node-red/red.js" --userDir "$DATA" --settings "$DATA/settings.js" "$@"
