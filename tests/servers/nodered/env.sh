# Node-RED, whose state is files of JSON; its apps are tabs with flows.
. "$(dirname "${BASH_SOURCE[0]}")/../common/lib.sh"
DIR=$(home nodered) PORT=${PORT:-18801} HOOKPORT=${HOOKPORT:-18901} DATA=${DATA:-$DIR/data}
