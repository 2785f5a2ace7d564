#!/usr/bin/env python3
"""hook.py PORT LOG [ADDRESS]: a listener that answers every request with 200, and writes each as a line of JSON to LOG.

What is asked for below /page is another page each time, for servers that look for changes.
"""
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, log = int(sys.argv[1]), sys.argv[2]
address = sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1"
lock = threading.Lock()


class Hook(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.body().decode("utf8", "replace")[:2000]
        line = {"t": time.time(), "m": self.command, "path": self.path, "ua": self.headers.get("user-agent"), "body": body}
        with lock, open(log, "a") as file:
            file.write(json.dumps(line) + "\n")
        page = self.path.startswith("/page")
        text = f"<html><body><p>tick {time.time()}</p></body></html>" if page else '{"ok":true}'
        self.send_response(200)
        self.send_header("content-type", "text/html" if page else "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text.encode())

    def body(self):
        if "chunked" not in (self.headers.get("transfer-encoding") or ""):
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        whole = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = answer

    def log_message(self, *_):
        pass


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


Listener((address, port), Hook).serve_forever()
