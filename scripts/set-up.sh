# Sourced by scripts/test and scripts/demo: brings what a bare Debian with rustup and Python lacks, once, and says so.
# Sets TARGET, the one target that every cargo command here builds for, and OUT, where everything that is made goes.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
MUSL=x86_64-unknown-linux-musl
CARGO_DENY=0.20.2
CARGO_NEXTEST=0.9.143
TINK=1.16.1
LMDB=3.0.0
PLYVEL=1.5.1
DUCKDB=2.0.1
SCHEMATHESIS=4.3.10
# The newest that it works with.
HYPOTHESIS=6.135.0
OUT=${CARGO_TARGET_DIR:-$PWD/target}

say() { printf '\n== %s\n' "$*"; }
fail() { printf '%s: %s\n' "$0" "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Waits for another apt that is at work, as it is on a machine that has just been started.
apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@"; }

# need_packages COMMAND:PACKAGE… : installs the packages of the commands that are not there.
need_packages() {
    local pair missing=()
    for pair; do
        has "${pair%%:*}" || missing+=("${pair#*:}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing Debian packages: ${missing[*]}"
    apt update || fail "apt-get update failed, and these packages are missing: ${missing[*]}"
    apt install -y --no-install-recommends "${missing[@]}" || fail "these packages cannot be installed: ${missing[*]}"
}

# The static target where it can be had, else the machine's own.
need_target() {
    has cargo || fail "cargo is missing: install Rust with rustup (https://rustup.rs)"
    TARGET=$MUSL
    if ! rustup target add "$MUSL"; then
        TARGET=$(rustc -vV | sed -n 's/^host: //p')
        echo "warning: the target $MUSL cannot be had; building for $TARGET, which is not static" >&2
    fi
    export TARGET
}

# need_cargo_tool NAME VERSION : a cargo subcommand; one that is there already will do.
need_cargo_tool() {
    has "cargo-$1" && return 0
    say "installing cargo-$1 $2 (some minutes, once)"
    # In a folder of its own, so that nothing of this package's configuration applies.
    (cd / && cargo install --locked "cargo-$1@$2") || fail "cargo-$1 cannot be installed"
}

# A Python with Tink, the stranger that opens our files and writes some for us, and with databases of other engines.
need_python() {
    MOORLINE_TEST_PYTHON=$OUT/venv/bin/python
    export MOORLINE_TEST_PYTHON
    "$MOORLINE_TEST_PYTHON" -c 'import tink, lmdb, plyvel, duckdb' 2>/dev/null && return 0
    say "making a Python environment with tink, lmdb, plyvel and duckdb in $OUT/venv"
    python3 -c 'import ensurepip, venv' 2>/dev/null || need_packages "no-such-command:python3-venv"
    python3 -m venv --clear "$OUT/venv" || fail "python3 -m venv failed"
    "$MOORLINE_TEST_PYTHON" -m pip install --quiet "tink==$TINK" "lmdb==$LMDB" "plyvel==$PLYVEL" "duckdb==$DUCKDB" \
        || fail "tink $TINK, lmdb $LMDB, plyvel $PLYVEL or duckdb $DUCKDB cannot be installed with pip"
}

# The property-based tester of HTTP APIs, in the same environment: `$MOORLINE_TEST_PYTHON -m schemathesis.cli`.
need_schemathesis() {
    need_python
    "$MOORLINE_TEST_PYTHON" -c 'import schemathesis' 2>/dev/null && return 0
    say "installing schemathesis $SCHEMATHESIS in $OUT/venv"
    "$MOORLINE_TEST_PYTHON" -m pip install --quiet "schemathesis==$SCHEMATHESIS" "hypothesis==$HYPOTHESIS" \
        || fail "schemathesis $SCHEMATHESIS cannot be installed with pip"
}
