# Uptime Kuma, whose state is a database; its apps are monitors, and whom they tell.
. "$(dirname "${BASH_SOURCE[0]}")/../common/lib.sh"
DIR=$(home uptime-kuma) PORT=${PORT:-18810} HOOKPORT=${HOOKPORT:-18910} DATA=${DATA:-$DIR/data}
