# changedetection.io, whose state is a JSON file per watch; its apps are watches and their notifications.
. "$(dirname "${BASH_SOURCE[0]}")/../common/lib.sh"
DIR=$(home changedetection) PORT=${PORT:-18802} HOOKPORT=${HOOKPORT:-18902} DATA=${DATA:-$DIR/data}
