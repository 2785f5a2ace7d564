#!/bin/bash
# A job, and another that is off.
. "$(dirname "$0")/env.sh"

# job NAME ENABLED
job() {
    curl -fsS "http://127.0.0.1:$PORT/jobs" --data-urlencode "name=$1" -d "enabled=$2" -d every=0.5 \
        --data-urlencode "url=http://$HOOKHOST:$HOOKPORT/$1"
}
job live true && job off false
