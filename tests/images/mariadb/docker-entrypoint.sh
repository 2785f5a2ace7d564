#!/bin/bash
# As in the published image: root creates the data directory and starts again as the server's user, who fills it if it is empty.
set -e
if [ "$1" = mariadbd ]; then
    datadir=$("$@" --verbose --help 2>/dev/null | sed -n 's/^datadir *//p')
    if [ "$(id -u)" = 0 ]; then
        mkdir -p "$datadir"
        find "$datadir" ! -user mysql -exec chown mysql: {} +
        exec setpriv --reuid=mysql --regid=mysql --clear-groups "$0" "$@"
    fi
    [ -d "$datadir/mysql" ] ||
        mariadb-install-db --datadir="$datadir" --auth-root-authentication-method=normal --skip-test-db --skip-name-resolve > /dev/null
fi
exec "$@"
