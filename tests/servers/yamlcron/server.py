"""server.py PORT: a cron whose jobs are in conf/jobs.yaml, which it reads when it starts:

    jobs:
      - name: live          # what is said of a job, in any order
        url: http://…
        every: 0.5
        enabled: true

POST /jobs with a form of the same makes a job. A file that others may read is refused, and an empty one has no jobs.
"""
import os
import re
import sys
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATH = "conf/jobs.yaml"


def load():
    mode = os.stat(PATH).st_mode & 0o777
    if mode != 0o600:
        sys.exit(f"{PATH} has mode {mode:o}: whoever reads it knows all the URLs")
    jobs = []
    for number, line in enumerate(open(PATH), 1):
        line = re.sub(r"(^|\s)#.*", "", line).rstrip()
        if not line or line == "jobs:":
            continue
        said = re.fullmatch(r"  (- |  )(\w+): (.*)", line)
        if not said:
            sys.exit(f"{PATH}, line {number}: not understood")
        if said[1] == "- ":
            jobs.append({})
        jobs[-1][said[2]] = said[3]
    return jobs


def add(job):
    """Behind the others, so that what people have written stays."""
    empty = os.path.getsize(PATH) == 0
    with open(PATH, "a") as file:
        print("jobs:\n" if empty else "", end="", file=file)
        for number, (name, value) in enumerate(job.items()):
            print(f"  {'  ' if number else '- '}{name}: {value}", file=file)


def work(job):
    while job["enabled"] == "true":
        try:
            urllib.request.urlopen(urllib.request.Request(job["url"], b"it is time", method="POST"), timeout=2).close()
        except OSError as cause:
            print(f"{job['url']}: {cause}", file=sys.stderr, flush=True)
        with open("history.log", "a") as file:
            print(f"{time.time():.1f} {job['name']}", file=file)
        time.sleep(float(job["every"]))


def start(job):
    threading.Thread(target=work, args=[job], daemon=True).start()


class Api(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer()

    def do_POST(self):
        form = urllib.parse.parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode())
        add(dict(form))
        start(dict(form))
        self.answer()

    def answer(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


if not os.path.exists(PATH):
    os.makedirs("conf", exist_ok=True)
    os.close(os.open(PATH, os.O_CREAT | os.O_WRONLY, 0o600))
    add({"name": "nothing", "url": "http://127.0.0.1:9/off", "every": "3600", "enabled": "false"})
for job in load():
    start(job)
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Api).serve_forever()
