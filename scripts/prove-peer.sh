# Sourced by scripts/prove-inside: another host, the only one that this one can reach, and a count of all that it is sent.
# It resolves every name to itself, so that a call home gets as far as its first packet. IPv6 is off on both, and each
# knows the other's hardware address, so that no ARP is sent.

export HOOKHOST=10.73.0.1
HOME_ADDRESS=10.73.0.2

# make_peer : sets LINK to the process that holds the peer's network.
make_peer() {
    : > "$work/packets"
    unshare --net "$python" "$here/prove-peer.py" "$HOOKHOST" "$work/packets" > "$work/peer.log" 2>&1 &
    link=$!
    local _
    for _ in $(seq 100); do
        [ "$(readlink "/proc/$link/ns/net")" = "$(readlink /proc/self/ns/net)" ] || break
        sleep 0.1
    done
    { no_ipv6 && at_peer no_ipv6 &&
        ip link add to-peer address 02:00:00:00:00:02 type veth peer name from-server address 02:00:00:00:00:01 netns "$link" &&
        connect to-peer "$HOME_ADDRESS" "$HOOKHOST" 02:00:00:00:00:01 &&
        at_peer connect from-server "$HOOKHOST" "$HOME_ADDRESS" 02:00:00:00:00:02 &&
        ip route add default via "$HOOKHOST" &&
        echo "nameserver $HOOKHOST" > "$work/resolv.conf" &&
        mount --bind "$work/resolv.conf" /etc/resolv.conf; } >> "$work/peer.log" 2>&1 || { last_words "$work/peer.log"; give_up "the peer cannot be made"; }
}

# at_peer FUNCTION ARGUMENT… : one of those below, in the peer's network.
at_peer() { nsenter --net="/proc/$link/ns/net" bash -c "$(declare -f "$1"); \"\$@\"" bash "$@"; }

no_ipv6() {
    local which
    for which in all default; do
        [ ! -e "/proc/sys/net/ipv6/conf/$which" ] || echo 1 > "/proc/sys/net/ipv6/conf/$which/disable_ipv6" || return
    done
}

# connect DEVICE OWN-ADDRESS OTHER-ADDRESS OTHER-HARDWARE-ADDRESS
connect() {
    ip address add "$2" peer "$3/32" dev "$1" && ip link set "$1" up && ip link set lo up &&
        ip neighbour replace "$3" lladdr "$4" nud permanent dev "$1"
}

# packets : how many the peer has got, by the kernel's count.
packets() { awk '$1 == "from-server:" { print $3 }' "/proc/$link/net/dev"; }

# settle : waits until what is under way from earlier has arrived.
settle() {
    local last
    while last=$(packets); sleep 1; [ "$(packets)" != "$last" ]; do :; done
}
