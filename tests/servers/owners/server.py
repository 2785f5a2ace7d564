"""server.py PORT: does jobs and sends reminders, each twice a second.

A job belongs to an owner, and is done if it has a runner, and that runner exists: its UUID, sixteen bytes, or NULL. A
reminder's settings are JSON in a column; it is sent unless they say `"enabled": false`.

POST /job {"name", "url", "assigned"} and POST /reminder {"url", "enabled"} make one; `enabled` may be left out.
"""
import json
import sqlite3
import sys
import threading
import time
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SCHEMA = """
    CREATE TABLE IF NOT EXISTS owner (id BLOB PRIMARY KEY, name TEXT UNIQUE);
    CREATE TABLE IF NOT EXISTS runner (id BLOB PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS job (owner BLOB NOT NULL REFERENCES owner(id), name TEXT NOT NULL, url TEXT NOT NULL,
        runner BLOB REFERENCES runner(id), PRIMARY KEY (owner, name)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS reminder (id TEXT PRIMARY KEY, settings TEXT NOT NULL);
"""


def database():
    connection = sqlite3.connect("state/owners.sqlite", isolation_level=None, timeout=10)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def due(db):
    yield from (url for (url,) in db.execute("SELECT url FROM job JOIN runner ON runner.id = job.runner"))
    for (text,) in db.execute("SELECT settings FROM reminder"):
        settings = json.loads(text)
        if settings.get("enabled", True):
            yield settings["url"]


def work():
    db = database()
    while True:
        for url in list(due(db)):
            try:
                urllib.request.urlopen(urllib.request.Request(url, b"{}", method="POST"), timeout=2).close()
            except OSError as cause:
                print(f"{url}: {cause}", file=sys.stderr, flush=True)
        time.sleep(0.5)


def make_job(db, said):
    owner, runner = uuid.uuid4().bytes, uuid.uuid4().bytes
    db.execute("INSERT INTO owner VALUES (?, ?)", (owner, said["name"]))
    db.execute("INSERT INTO runner VALUES (?)", (runner,))
    db.execute("INSERT INTO job VALUES (?, ?, ?, ?)", (owner, said["name"], said["url"], runner if said["assigned"] else None))


def make_reminder(db, said):
    db.execute("INSERT INTO reminder VALUES (?, ?)", (str(uuid.uuid4()), json.dumps(said)))


class Api(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer()

    def do_POST(self):
        said = json.loads(self.rfile.read(int(self.headers["content-length"])))
        {"/job": make_job, "/reminder": make_reminder}[self.path](database(), said)
        self.answer()

    def answer(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


database().executescript(SCHEMA)
threading.Thread(target=work, daemon=True).start()
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Api).serve_forever()
