#!/bin/sh
# As in the published image: root gives everything in the working directory to the server's user, and starts again as that user.
set -e
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    find . ! -user redis -exec chown redis {} +
    exec setpriv --reuid=redis --regid=redis --clear-groups "$0" "$@"
fi
exec "$@"
