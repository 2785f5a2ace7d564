# Strapi, whose state is a database; its apps are webhooks.
. "$(dirname "${BASH_SOURCE[0]}")/../common/lib.sh"
DIR=$(home strapi) PORT=${PORT:-18809} HOOKPORT=${HOOKPORT:-18909} DATA=${DATA:-$DIR/data}
