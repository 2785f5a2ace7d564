"""Somebody outside, whom apps tell what happened."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Listener:
    def __init__(self):
        self.heard: list[tuple[str, str | None, bytes]] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                listener.heard.append((self.path, self.headers.get("Authorization"), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def of(self, path: str) -> list[tuple[str, str | None, bytes]]:
        return [one for one in self.heard if one[0] == path]

    def wait_for(self, path: str, count: int = 1):
        for _ in range(300):
            if len(self.of(path)) >= count:
                return self.of(path)
            time.sleep(0.1)
        raise AssertionError(f"nobody posted to {path}; heard: {self.heard}")
