"""prove-peer.py ADDRESS LOG: the only neighbour of a server under proof. Resolves every name to ADDRESS, and writes down
each packet that arrives, so that one which should not be there has a name; how many there are, the kernel counts."""
import socket
import struct
import sys
import threading

address, log = sys.argv[1:3]
ALL, OUTGOING = 3, 4
PROTOCOLS = {1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP"}


def described(frame):
    kind = struct.unpack("!H", frame[12:14])[0]
    if kind != 0x0800:
        return f"ethernet type {kind:#06x}, {len(frame)} bytes"
    start = 14 + (frame[14] & 15) * 4
    protocol, target = frame[23], socket.inet_ntoa(frame[30:34])
    text = f"{PROTOCOLS.get(protocol, protocol)} to {target}"
    if protocol in (6, 17) and len(frame) >= start + 4:
        text += f" port {struct.unpack('!H', frame[start + 2:start + 4])[0]}"
    if protocol == 17 and text.endswith(" port 53"):
        text += f", asks for {asked_for(frame[start + 8:])[0]}"
    return f"{text}, {len(frame)} bytes"


def asked_for(query):
    """The name in a DNS query, and where it ends."""
    at, labels = 12, []
    while at < len(query) and query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("ascii", "replace"))
        at += 1 + query[at]
    return ".".join(labels), at + 1


def resolve():
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind(("0.0.0.0", 53))
    while True:
        query, who = names.recvfrom(2000)
        _, end = asked_for(query)
        question = query[12:end + 4]
        is_a = query[end:end + 2] == b"\0\1"
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(address) if is_a else b""
        names.sendto(query[:2] + struct.pack("!5H", 0x8180, 1, 1 if is_a else 0, 0, 0) + question + answer, who)


def watch():
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
    with open(log, "a", buffering=1) as file:
        while True:
            frame, (device, _, kind, _, _) = wire.recvfrom(65535)
            if kind != OUTGOING and device != "lo":
                file.write(described(frame) + "\n")


threading.Thread(target=resolve, daemon=True).start()
watch()
