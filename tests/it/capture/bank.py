"""A bank in a database that belongs to one process.

bank.py lmdb|duckdb FOLDER PORT    the server; one line on the port is a command, the answer is one line
bank.py COMMAND PORT               a client
"""

import os
import random
import socket
import socketserver
import sys
import threading

ACCOUNTS, EACH = 2000, 1000


class Lmdb:
    def __init__(self, folder):
        import lmdb

        self.env = lmdb.open(folder, map_size=256 << 20)

    def fill(self):
        with self.env.begin(write=True) as transaction:
            for number in range(ACCOUNTS):
                transaction.put(b"%d" % number, b"%d" % EACH)

    def move(self, one, other):
        with self.env.begin(write=True) as transaction:
            for number, change in ((one, -1), (other, 1)):
                key = b"%d" % number
                transaction.put(key, b"%d" % (int(transaction.get(key)) + change))

    def sum(self):
        with self.env.begin() as transaction:
            return sum(int(value) for _, value in transaction.cursor())


class DuckDb:
    def __init__(self, folder):
        import duckdb

        self.connection = duckdb.connect(os.path.join(folder, "bank.duckdb"))
        self.connection.execute("SET checkpoint_threshold = '100KB'")

    def fill(self):
        self.connection.execute(f"CREATE TABLE account AS SELECT range AS id, {EACH} AS v FROM range({ACCOUNTS})")

    def move(self, one, other):
        cursor = self.connection.cursor()
        cursor.execute("BEGIN")
        cursor.execute("UPDATE account SET v = v - 1 WHERE id = ?", [one])
        cursor.execute("UPDATE account SET v = v + 1 WHERE id = ?", [other])
        cursor.execute("COMMIT")

    def sum(self):
        return self.connection.cursor().execute("SELECT sum(v) FROM account").fetchone()[0]


def serve(engine, folder, port):
    os.makedirs(folder, exist_ok=True)
    bank = {"lmdb": Lmdb, "duckdb": DuckDb}[engine](folder)
    lock = threading.Lock()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            command = self.rfile.readline().strip()
            if command == b"write":
                # Until the client goes.
                self.request.settimeout(0.0)
                while True:
                    try:
                        if not self.request.recv(1):
                            return
                    except BlockingIOError:
                        pass
                    with lock:
                        bank.move(*random.sample(range(ACCOUNTS), 2))
            with lock:
                answer = {b"ping": lambda: "pong", b"fill": bank.fill, b"sum": bank.sum}[command]()
            self.wfile.write(b"%s\n" % str(answer).encode())

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address, daemon_threads = True, True

    Server(("127.0.0.1", int(port)), Handler).serve_forever()


def ask(command, port):
    with socket.create_connection(("127.0.0.1", int(port))) as connection:
        connection.sendall(command.encode() + b"\n")
        print(connection.makefile().readline().strip())


ask(*sys.argv[1:]) if len(sys.argv) == 3 else serve(*sys.argv[1:])
