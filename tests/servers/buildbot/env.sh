# Buildbot, whose state is a database and a configuration that is a program; its apps are schedulers and reporters.
. "$(dirname "${BASH_SOURCE[0]}")/../common/lib.sh"
DIR=$(home buildbot) PORT=${PORT:-18808} HOOKPORT=${HOOKPORT:-18908} DATA=${DATA:-$DIR/data}
