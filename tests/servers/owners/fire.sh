#!/bin/bash
# Two jobs and two reminders; of each, one is off.
. "$(dirname "$0")/env.sh"
make() { curl -fsS "http://127.0.0.1:$PORT/$1" -d "$2"; }
hook=http://$HOOKHOST:$HOOKPORT
make job '{ "name": "cleaning", "url": "'"$hook/job/live"'", "assigned": true }' &&
    make job '{ "name": "painting", "url": "'"$hook/job/off"'", "assigned": false }' &&
    make reminder '{ "url": "'"$hook/reminder/live"'" }' &&
    make reminder '{ "url": "'"$hook/reminder/off"'", "enabled": false }'
