"""talk.py set-up SERVER ROOM-FILE LISTENER: a room of three; two have a pusher, the second one's is off.
talk.py speak SERVER ROOM-FILE: the first says something."""
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

what, server, file = sys.argv[1:4]


def call(method, path, content, token=None):
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    data = json.dumps(content).encode()
    request = urllib.request.Request(f"{server}/_matrix/client/v3{path}", data, headers, method=method)
    try:
        return json.load(urllib.request.urlopen(request, timeout=30))
    except urllib.error.HTTPError as error:
        sys.exit(f"{method} {path}: {error.code} {error.read().decode()[:300]}")


def register(name):
    content = {"username": name, "password": f"password of {name}", "auth": {"type": "m.login.dummy"}}
    return call("POST", "/register", content)["access_token"]


def pusher(path, enabled):
    # The path has to be this one, so what tells the two apart is the query.
    url = f"{sys.argv[4]}/_matrix/push/v1/notify?{path}"
    return {"kind": "http", "app_id": "app", "pushkey": f"key of {path}", "app_display_name": "app",
            "device_display_name": "device", "lang": "en", "org.matrix.msc3881.enabled": enabled,
            "data": {"url": url, "format": "event_id_only"}}


if what == "set-up":
    speaker, live, off = [register(name) for name in ("speaker", "live", "off")]
    invite = {"invite": ["@live:localhost", "@off:localhost"], "preset": "private_chat"}
    room = call("POST", "/createRoom", invite, speaker)["room_id"]
    for token, path, enabled in ((live, "live", True), (off, "off", False)):
        call("POST", f"/join/{room}", {}, token)
        call("POST", "/pushers/set", pusher(path, enabled), token)
    json.dump({"room": room, "speaker": speaker}, open(file, "w"))
else:
    known = json.load(open(file))
    room = urllib.parse.quote(known["room"])
    message = {"msgtype": "m.text", "body": "hello"}
    call("PUT", f"/rooms/{room}/send/m.room.message/{time.time_ns()}", message, known["speaker"])
