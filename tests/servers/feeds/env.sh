# A feed reader that tells webhooks of what is new. A webhook is a row without any on or off; what nobody could be told of yet waits.
. "$(dirname "${BASH_SOURCE[0]}")/../common/lib.sh"
DIR=$(home feeds) PORT=${PORT:-18811} HOOKPORT=${HOOKPORT:-18911} DATA=${DATA:-$DIR/data}
