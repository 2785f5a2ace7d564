"""server.py PORT: rooms with hooks and relays. Every half second each one that is on is told that time has passed.

POST /hooks {"room", "url", "enabled"} makes a hook, whose `enabled` is "yes" or "no"; POST /relays {"room", "url",
"active"} a relay, which is on unless its `active` is false. All of it is in state.json, written anew every second: its
members are sorted and relays shuffled, so that nothing stands where it stood.
"""
import json
import os
import random
import sys
import threading
import time
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

lock = threading.RLock()


def load():
    if not os.path.exists("state.json"):
        return {"version": 3, "ticks": 0, "rooms": {}}
    with open("state.json") as file:
        return json.load(file)


def save():
    with lock:
        for room in state["rooms"].values():
            random.shuffle(room["relays"])
        with open("state.json.new", "w") as file:
            json.dump(state, file, indent=random.choice([None, 1, 4]), sort_keys=True)
        os.replace("state.json.new", "state.json")


def those_that_are_on():
    with lock:
        for room in state["rooms"].values():
            yield from [hook["url"] for hook in room["hooks"].values() if hook["enabled"] == "yes"]
            yield from [relay["url"] for relay in room["relays"] if relay.get("active", True)]


def work():
    while True:
        state["ticks"] += 1
        for url in list(those_that_are_on()):
            try:
                urllib.request.urlopen(urllib.request.Request(url, b"tick", method="POST"), timeout=2).close()
            except OSError as cause:
                print(f"{url}: {cause}", file=sys.stderr, flush=True)
        if state["ticks"] % 2 == 0:
            save()
        time.sleep(0.5)


class Api(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({"rooms": len(state["rooms"])})

    def do_POST(self):
        said = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with lock:
            room = state["rooms"].setdefault(said.pop("room"), {"hooks": {}, "relays": []})
            if self.path == "/hooks":
                room["hooks"][str(uuid.uuid4())] = said
            else:
                # More than a double can tell apart.
                room["relays"].append({"id": random.getrandbits(63) | 1 << 62, **said})
            save()
        self.answer(said)

    def answer(self, content):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_):
        pass


state = load()
save()
threading.Thread(target=work, daemon=True).start()
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Api).serve_forever()
