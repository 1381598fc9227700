"""A RabbitMQ server of a test's own, from the Debian package ``rabbitmq-server``, on free ports of loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

#: The program itself: what lies in the path changes to another user first.
_PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class RabbitServer:
    """A server that keeps what it is given in a folder, so that it may be killed and started again.

    Erlang wants a name service (``epmd``) beside it, which is started here and ended with it.
    """

    def __init__(self, folder: Path) -> None:
        epmd = shutil.which("epmd")
        if not _PROGRAM.exists() or epmd is None:
            pytest.skip("rabbitmq-server is not installed (Debian: apt install rabbitmq-server)")
        self._folder = folder / "rabbit"
        self._folder.mkdir()
        self.port, names, distribution = _free_ports(3)
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        (self._folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nvm_memory_high_watermark.relative = 0.9\n"
        )
        (self._folder / "plugins").write_text("[].\n")
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_PORT": str(names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq.conf"),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        self._names = subprocess.Popen(
            [epmd, "-port", str(names), "-address", "127.0.0.1"], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        self.start()

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [str(_PROGRAM)],
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 120
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "output").read_text()
            assert time.monotonic() < deadline, "rabbitmq-server does not answer"
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop it at once."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """End all of it."""
        if self._process.poll() is None:
            self.stop()
        self._names.kill()
        self._names.wait()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as asked:
                asked.sendall(b"AMQP\x00\x00\x09\x01")
                # The first frame of the protocol, on channel 0.
                return asked.recv(3) == b"\x01\x00\x00"
        except OSError:
            return False


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
