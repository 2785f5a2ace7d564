# Sourced by the env.sh of each server here; the other scripts source that. docs/profiles.md says what each of them is for.
COMMON=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Who a webhook is sent to; `scripts/prove-profile --no-packet` puts the listener on another host.
HOOKHOST=${HOOKHOST:-127.0.0.1}

# home NAME : where a server is installed and runs. Below target/ in a checkout, else in the folder of its scripts.
home() {
    local checkout=$COMMON/../../..
    if [ -f "$checkout/Cargo.toml" ]; then
        mkdir -p "${CARGO_TARGET_DIR:-$checkout/target}/servers/$1" && cd "${CARGO_TARGET_DIR:-$checkout/target}/servers/$1" && pwd
    else
        cd "$COMMON/../$1" && pwd
    fi
}

# into_data : to be called before `exec SERVER`: notes the process, and goes where stop_server expects it.
into_data() {
    mkdir -p "$DATA" && cd "$DATA" || exit 1
    echo $$ > "$DATA.pid"
}

# answers URL : waits a minute for 2xx.
answers() {
    local _
    for _ in $(seq 300); do
        curl -fsS -o /dev/null --max-time 2 "$1" 2>/dev/null && return 0
        sleep 0.2
    done
    return 1
}

# stop_server : the process that into_data noted, if it still is that one: its number may be another's by now.
stop_server() {
    local pid _
    pid=$(cat "$DATA.pid" 2>/dev/null) && is_server "$pid" || return 0
    kill -TERM "$pid"
    for _ in $(seq 150); do
        is_server "$pid" || break
        sleep 0.2
    done
    rm -f "$DATA.pid"
}
is_server() { [ "$(readlink "/proc/$1/cwd")" = "$(realpath "$DATA")" ]; }
