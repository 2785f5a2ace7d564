#!/bin/bash
# Becomes changedetection.io.
. "$(dirname "$0")/env.sh"
into_data
export PORT LISTEN_HOST=127.0.0.1 ALLOW_IANA_RESTRICTED_ADDRESSES=true MINIMUM_SECONDS_RECHECK_TIME=1 DISABLE_VERSION_CHECK=true
exec "$DIR/venv/bin/python" -c 'import changedetectionio; changedetectionio.main()' -h 127.0.0.1 -p "$PORT" -d "$DATA" -C -l INFO "$@"
