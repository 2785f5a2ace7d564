"""A bank: moves money between accounts as fast as it can, so that the sum of all accounts never changes.

bank.py DATABASE JOURNAL_MODE TIMEOUT

Every commit moves money, rewrites a few blobs, and now and then grows, shrinks or indexes the database. Prints `ready`
once it is at work, works until its standard input is closed, then prints one line of JSON: commits, busy (how often it
was told that the database is locked), slowest (the longest that a commit took, in seconds).
"""
import json
import random
import sqlite3
import sys
import threading
import time

path, journal_mode, timeout = sys.argv[1], sys.argv[2], float(sys.argv[3])
db = sqlite3.connect(path, isolation_level=None, timeout=timeout)
db.execute(f"PRAGMA journal_mode = {journal_mode}")
db.execute("PRAGMA synchronous = NORMAL")
accounts = db.execute("SELECT max(id) FROM account").fetchone()[0]
done = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()
commits = busy = 0
slowest = 0.0


def transfer():
    one, other = random.sample(range(1, accounts + 1), 2)
    money = random.randrange(1, 100)
    db.execute("UPDATE account SET money = money - ? WHERE id = ?", (money, one))
    db.execute("UPDATE account SET money = money + ?, pad = randomblob(?) WHERE id = ?",
               (money, random.randrange(1, 3000), other))


def shake():
    what = random.randrange(4)
    if what == 0:
        db.execute("CREATE TABLE IF NOT EXISTS log(id INTEGER PRIMARY KEY, text)")
        db.executemany("INSERT INTO log(text) VALUES (hex(randomblob(200)))", [()] * 50)
    elif what == 1:
        db.execute("DROP TABLE IF EXISTS log")
    elif what == 2:
        db.execute("CREATE INDEX IF NOT EXISTS by_money ON account(money)")
    else:
        db.execute("DROP INDEX IF EXISTS by_money")


def commit():
    db.execute("BEGIN IMMEDIATE")
    try:
        transfer()
        if commits % 50 == 49:
            shake()
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


while not done.is_set():
    began = time.monotonic()
    try:
        commit()
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        busy += 1
        continue
    commits += 1
    slowest = max(slowest, time.monotonic() - began)
    if commits == 20:
        print("ready", flush=True)
print(json.dumps({"commits": commits, "busy": busy, "slowest": slowest}), flush=True)
