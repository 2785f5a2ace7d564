#!/bin/bash
# As in the published image: root creates the data directory and starts again as the server's user, who fills it if it is empty.
set -e
if [ "$1" = postgres ]; then
    if [ "$(id -u)" = 0 ]; then
        mkdir -p "$PGDATA"
        chmod 00700 "$PGDATA"
        find "$PGDATA" ! -user postgres -exec chown postgres {} +
        exec setpriv --reuid=postgres --regid=postgres --clear-groups "$0" "$@"
    fi
    [ -s "$PGDATA/PG_VERSION" ] || initdb --username=postgres --auth=trust --no-locale --no-sync
fi
exec "$@"
