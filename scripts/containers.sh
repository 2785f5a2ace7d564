# Sourced by scripts/compose and scripts/foreign-images: podman with a store of its own, and images that are made on this machine.
# Sets MOORLINE, and the images $MOORLINE_IMAGE (docker/Dockerfile's, with nothing but moorline) and moorline-test/NAME.

. "$(dirname "${BASH_SOURCE[0]}")/set-up.sh"

STORE=$OUT/containers
mkdir -p "$STORE"
# podman refuses a long path for what lasts until the next boot only.
RUNROOT=/tmp/moorline-containers-$(stat -c %i "$STORE")
export MOORLINE_IMAGE=localhost/moorline-test/moorline

need_containers() {
    need_packages podman:podman runc:runc mmdebstrap:mmdebstrap iptables:iptables curl:curl python3:python3
    [ -x /usr/lib/podman/netavark ] || need_packages no-such-command:netavark no-such-command:aardvark-dns
    [ "$(id -u)" = 0 ] || fail "these containers need root, because they have a network"$'\n'"hint: sudo -E $0"
    need_target
    MOORLINE=${MOORLINE:-$OUT/$TARGET/debug/moorline}
    [ -x "$MOORLINE" ] || { say "building $MOORLINE"; cargo build --locked --target "$TARGET"; }
    # runc, because crun refuses a machine that has both kinds of cgroups; no limit is raised above what this process has.
    local files processes
    files=$(ulimit -Hn) processes=$(ulimit -Hu)
    [ "$files" != unlimited ] || files=1000000
    [ "$processes" != unlimited ] && [ "$processes" -le 1000 ] || processes=1000
    cat > "$STORE/containers.conf" << EOF
[containers]
default_ulimits = ["nofile=$files:$files", "nproc=$processes:$processes"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
EOF
    # A program, because podman-compose starts it.
    cat > "$STORE/podman" << EOF
#!/bin/sh
export CONTAINERS_CONF='$STORE/containers.conf' TMPDIR='$STORE'
exec /usr/bin/podman --storage-driver overlay --root '$STORE/root' --runroot '$RUNROOT' "\$@"
EOF
    chmod +x "$STORE/podman"
}

podman() { "$STORE/podman" "$@"; }

# moorline_image : from the programs of $MOORLINE. The context is a folder of its own: .dockerignore lets only releases in.
moorline_image() {
    local context
    context=$(mktemp -d -p "$STORE")
    cp "$MOORLINE" "$(dirname "$MOORLINE")/moorline-engine" "$context"
    cp -R docker/links "$context/links"
    podman build --quiet --network none --file docker/Dockerfile --target moorline --build-arg PROGRAMS=. --build-arg LINKS=links \
        --tag "$MOORLINE_IMAGE" "$context" > /dev/null || fail "docker/Dockerfile cannot be built"
    rm -rf "$context"
}

# root_file_system NAME PACKAGE… : the image moorline-test/NAME-packages, which holds Debian's packages and all that they depend
# on, unpacked and not set up: no maintainer script has run, and there are no users.
root_file_system() {
    local name=$1 image=localhost/moorline-test/$1-packages tar=$STORE/$1.tar
    shift
    podman image exists "$image" && [ "$(cat "$STORE/$name.packages")" = "$*" ] && return
    say "making a root file system of ${*} (half a minute, once)"
    # apt's own user may have nowhere to write in a container.
    mmdebstrap --quiet --mode=root --format=tar --aptopt='APT::Sandbox::User "root"' --variant=extract --include="$(IFS=, && echo "$*")" \
        --customize-hook='rm -rf "$1"/usr/share/doc "$1"/usr/share/man "$1"/usr/share/locale "$1"/var/cache/apt' \
        bookworm "$tar" 2> "$tar.log" || { cat "$tar.log" >&2; fail "Debian's packages cannot be unpacked: $*"; }
    podman import --quiet "$tar" "$image" > /dev/null || fail "$image cannot be made"
    rm "$tar"
    echo "$*" > "$STORE/$name.packages"
}

# server_image NAME [CONTEXT-OPTION…] : the image moorline-test/NAME from tests/images/NAME.
server_image() {
    local name=$1
    shift
    podman build --quiet --network none --tag "localhost/moorline-test/$name" "$@" "tests/images/$name" > /dev/null ||
        fail "tests/images/$name cannot be built"
}

# until_it_holds SECONDS COMMAND… : tries until the command succeeds.
until_it_holds() {
    local seconds=$1 end
    end=$((SECONDS + seconds))
    shift
    until "$@" > /dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.2
    done
}
