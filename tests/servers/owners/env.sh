# Jobs that belong to owners and are done by runners. Whether a job is on is told by a UUID, or by nothing in its place.
. "$(dirname "${BASH_SOURCE[0]}")/../common/lib.sh"
DIR=$(home owners) PORT=${PORT:-18812} HOOKPORT=${HOOKPORT:-18912} DATA=${DATA:-$DIR/data}
