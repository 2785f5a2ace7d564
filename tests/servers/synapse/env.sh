# Synapse, the Matrix homeserver, on SQLite; its apps are pushers.
. "$(dirname "${BASH_SOURCE[0]}")/../common/lib.sh"
DIR=$(home synapse) PORT=${PORT:-18807} HOOKPORT=${HOOKPORT:-18907} DATA=${DATA:-$DIR/data}
