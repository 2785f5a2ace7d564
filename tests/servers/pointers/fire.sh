#!/bin/bash
# In each of two rooms, one with an awkward name: a hook and a relay that are on, and one of each that is off.
. "$(dirname "$0")/env.sh"

# make KIND ROOM PATH SWITCH
make() {
    curl -fsS "http://127.0.0.1:$PORT/$1" -d '{ "room": "'"$2"'", "url": "http://'"$HOOKHOST:$HOOKPORT/$3"'"'"$4"' }'
}
for room in lobby 'a/b~c'; do
    make hooks "$room" live/hook ', "enabled": "yes"' && make hooks "$room" off/hook ', "enabled": "no"' || exit
    make relays "$room" live/relay '' && make relays "$room" off/relay ', "active": false' || exit
done
