"""server.py PORT: a feed reader. Every half second it finds something new in each feed that is not archived, and tells
the feed's webhooks. What a feed without a webhook has found waits for one.

POST /feed {"title", "archived", "webhook"} makes a feed. What has waited for more than three seconds is told as late:
`?late=off-schedule` is added to the webhook's path.
"""
import json
import sqlite3
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SCHEMA = """
    CREATE TABLE IF NOT EXISTS feed (id INTEGER PRIMARY KEY, title TEXT NOT NULL, archived INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE IF NOT EXISTS webhook (feed INTEGER NOT NULL REFERENCES feed(id) ON DELETE CASCADE, url TEXT NOT NULL,
        secret BLOB, PRIMARY KEY (feed, url));
    CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, feed INTEGER NOT NULL, found REAL NOT NULL, title TEXT);
"""


def database():
    connection = sqlite3.connect("feeds.db", isolation_level=None, timeout=10)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def look(db):
    """Finds something new in each feed."""
    now = time.time()
    db.execute("INSERT INTO outbox (feed, found, title) SELECT id, ?, title || ' has news' FROM feed WHERE archived = 0", (now,))


def tell(db):
    """Tells whom there is to tell, oldest first."""
    waiting = db.execute("SELECT o.id, o.found, o.title, w.url FROM outbox o JOIN webhook w USING (feed) ORDER BY o.id").fetchall()
    for number, found, title, url in waiting:
        late = "?late=off-schedule" if time.time() - found > 3 else ""
        try:
            urllib.request.urlopen(urllib.request.Request(url + late, title.encode(), method="POST"), timeout=2).close()
        except OSError as cause:
            print(f"{url}: {cause}", file=sys.stderr, flush=True)
            continue
        db.execute("DELETE FROM outbox WHERE id = ?", (number,))


def work():
    db = database()
    while True:
        look(db)
        tell(db)
        time.sleep(0.5)


class Api(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({"feeds": database().execute("SELECT count(*) FROM feed").fetchone()[0]})

    def do_POST(self):
        said = json.loads(self.rfile.read(int(self.headers["content-length"])))
        db = database()
        db.execute("BEGIN IMMEDIATE")
        feed = db.execute("INSERT INTO feed (title, archived) VALUES (?, ?)", (said["title"], said["archived"])).lastrowid
        db.execute("INSERT INTO webhook VALUES (?, ?, x'00ff80')", (feed, said["webhook"]))
        db.execute("COMMIT")
        self.answer({"id": feed})

    def answer(self, content):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_):
        pass


database().executescript(SCHEMA)
threading.Thread(target=work, daemon=True).start()
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Api).serve_forever()
