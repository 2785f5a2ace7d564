# Jobs in a YAML file, which is read at the start. Nobody but its owner may read it, or the server does not start.
. "$(dirname "${BASH_SOURCE[0]}")/../common/lib.sh"
DIR=$(home yamlcron) PORT=${PORT:-18814} HOOKPORT=${HOOKPORT:-18914} DATA=${DATA:-$DIR/data}
