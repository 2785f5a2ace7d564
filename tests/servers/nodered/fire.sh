#!/bin/bash
# A tab whose flow POSTs every second, and one like it that is off.
. "$(dirname "$0")/env.sh"

# tab LABEL DISABLED PATH
tab() {
    curl -fsS "http://127.0.0.1:$PORT/flow" -H 'content-type: application/json' -d '{
        "label": "'"$1"'", "disabled": '"$2"', "nodes": [
            { "id": "'"$3"'1", "type": "inject", "props": [{ "p": "payload" }], "repeat": "1", "once": true, "onceDelay": 0.1,
              "payload": "{}", "payloadType": "json", "wires": [["'"$3"'2"]] },
            { "id": "'"$3"'2", "type": "http request", "method": "POST", "ret": "txt",
              "url": "http://'"$HOOKHOST:$HOOKPORT/$3"'", "wires": [[]] }] }'
}
tab "heating" false live && tab "heating, the old one" true off
