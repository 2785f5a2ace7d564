#!/bin/sh
# Runs at every start, before the server: Init/start.d/. If it fails the server does not start, and the container exits with its
# code.
set -eu
printf 'greeting: %s\n' "${GREETING:-hello}" > "$DATA_DIR/config.yaml.new"
mv "$DATA_DIR/config.yaml.new" "$DATA_DIR/config.yaml"
