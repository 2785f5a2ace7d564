#!/bin/bash
# Becomes Strapi. Its application is code, and not part of the state.
. "$(dirname "$0")/env.sh"
into_data
# In production it would take no webhook to this machine.
export PORT NODE_ENV=test DATABASE_FILENAME="$DATA/data.db"
exec node -e '
    const { createStrapi } = require(process.argv[1] + "/node_modules/@strapi/strapi");
    createStrapi({ appDir: process.argv[1], distDir: process.argv[1] }).start();
' "$DIR/app" "$@"
