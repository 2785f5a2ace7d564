#!/bin/bash
# Becomes Synapse.
. "$(dirname "$0")/env.sh"
into_data
if [ ! -f homeserver.yaml ]; then
    cat > homeserver.yaml <<YAML
server_name: "localhost"
pid_file: "$DATA/homeserver.pid"
listeners: [{ port: $PORT, tls: false, type: http, bind_addresses: ["127.0.0.1"], resources: [{ names: [client], compress: false }] }]
database: { name: sqlite3, args: { database: "$DATA/homeserver.db" } }
log_config: "$DATA/log.yaml"
media_store_path: "$DATA/media_store"
signing_key_path: "$DATA/localhost.signing.key"
macaroon_secret_key: "for tests only"
form_secret: "for tests only"
report_stats: false
experimental_features: { msc3881_enabled: true }
trusted_key_servers: []
federation_domain_whitelist: []
ip_range_whitelist: ["$HOOKHOST/32"]
enable_registration: true
enable_registration_without_verification: true
YAML
    cat > log.yaml <<'YAML'
version: 1
formatters: { plain: { format: '%(asctime)s %(levelname)s %(name)s %(message)s' } }
handlers: { console: { class: logging.StreamHandler, formatter: plain } }
root: { level: WARNING, handlers: [console] }
disable_existing_loggers: false
YAML
    "$DIR/venv/bin/python" -m synapse.app.homeserver -c homeserver.yaml --generate-keys
fi
exec "$DIR/venv/bin/python" -m synapse.app.homeserver -c "$DATA/homeserver.yaml" "$@"
