#!/bin/sh
# Any script will do, not only a restore: this one gives a new volume its first configuration, once.
# It runs before the server starts, in Init/, with DATA_DIR set to the storage root. Exit with 0, or it runs again at
# the next start.
set -eu
config="$DATA_DIR/config.json"
if [ ! -e "$config" ]; then
    printf '{ "title": "made by %s" }\n' "$(basename "$0")" > "$config.new"
    mv "$config.new" "$config"
fi
