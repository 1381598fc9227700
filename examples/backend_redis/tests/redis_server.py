"""A Redis of the tests' own, on a socket in a temporary folder; Debian has it in the package ``redis-server``."""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import redis

PROGRAM = shutil.which("redis-server")


class RedisServer:
    """A server that writes each command to disk before it answers, as ``durable`` wants it."""

    def __init__(self, *options):
        self.folder = Path(tempfile.mkdtemp(prefix="redis-", dir="/tmp"))
        self._options = options or ("--appendonly", "yes", "--appendfsync", "always")
        self.start()

    @property
    def url(self):
        return f"unix://{self.folder / 'socket'}"

    def start(self):
        place = ("--port", "0", "--unixsocket", str(self.folder / "socket"), "--dir", str(self.folder), "--save", "")
        self._server = subprocess.Popen([PROGRAM, *place, *self._options], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        with redis.Redis.from_url(self.url) as client:
            while True:
                try:
                    # It refuses commands while it reads its file.
                    client.dbsize()
                    return
                except redis.ConnectionError:
                    if time.monotonic() > deadline or self._server.poll() is not None:
                        raise
                    time.sleep(0.01)

    def kill(self):
        self._server.kill()
        self._server.wait(30)

    def stop(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
