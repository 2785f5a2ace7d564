# Rooms with hooks and relays, all in one JSON file that the server writes anew again and again, in an order of its own.
. "$(dirname "${BASH_SOURCE[0]}")/../common/lib.sh"
DIR=$(home pointers) PORT=${PORT:-18813} HOOKPORT=${HOOKPORT:-18913} DATA=${DATA:-$DIR/data}
