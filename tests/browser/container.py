"""A container: moorline as PID 1 of a PID namespace, on a volume, with the console as its server."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path


LOOPBACK = "127.0.0.1"


def free_port(address: str) -> int:
    with socket.socket() as one:
        one.bind((address, 0))
        return one.getsockname()[1]


class Container:
    def __init__(self, moorline: Path, volume: Path, address: str, **settings: str):
        self.moorline, self.volume, self.address, self.settings = moorline, volume, address, settings
        self.port = free_port(address)
        self.log = volume.with_name(volume.name + ".log")
        self.process = None
        volume.mkdir(exist_ok=True)

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    @property
    def listens_on(self) -> str:
        """As it is by default, unless only this host may ask."""
        return LOOPBACK if self.address == LOOPBACK else "0.0.0.0"

    def start(self):
        namespace = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
        if os.geteuid() != 0:
            namespace += ["--user", "--map-root-user"]
        environment = {"PATH": os.environ["PATH"], "MOORLINE_STORAGE": str(self.volume),
                       "MOORLINE_LISTEN": f"{self.listens_on}:{self.port}", **self.settings}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*namespace, self.moorline, "run"], env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.wait_until_it_answers()
        return self

    def wait_until_it_answers(self):
        for _ in range(300):
            if self.process.poll() is not None:
                raise RuntimeError(f"the container ended with {self.process.returncode}:\n{self.log.read_text()}")
            try:
                urllib.request.urlopen(self.url + "/login", timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"the console does not answer:\n{self.log.read_text()}")

    def stop(self):
        """As a runtime does it: SIGTERM for PID 1, and SIGKILL for whoever does not go."""
        if self.process is None:
            return
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for pid in children.read_text().split() if children.exists() else []:
            os.kill(int(pid), signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError("the container did not stop")
        finally:
            self.process = None

    def restart(self):
        self.stop()
        self.start()

    def verb(self, *arguments: str) -> str:
        environment = {"PATH": os.environ["PATH"], "MOORLINE_STORAGE": str(self.volume)}
        return subprocess.run([self.moorline, *arguments], env=environment, check=True, capture_output=True, text=True).stdout

    def script(self, name: str, text: str):
        (self.volume / "Init").mkdir(exist_ok=True)
        (self.volume / "Init" / name).write_text(text)
