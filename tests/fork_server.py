"""gunicorn by a fork of a process that has imported everything: ``python tests/fork_server.py FD``.

A test of faults starts gunicorn again and again, and each start imports for over a second what the last one had
imported. Here one process, started with the first, imports it once; whoever wants a gunicorn gets a fork of it that
runs the same program with the arguments, the environment, the folder and the output asked for. It is a gunicorn like
any other from then on: a master with workers, in a session of its own, that may be killed. How gunicorn begins in a
fresh process is what ``tests/serve`` shows; a test that looks at that uses ``Server`` as it is.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

#: The longest order: arguments and environment.
_MOST = 1_000_000


class ForkServer:
    """The process that imports once and forks; it starts with the first order and ends with this one."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._owner = 0

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> Forked:
        """Fork a gunicorn with arguments and return its process."""
        if self._socket is None or self._owner != os.getpid():
            self._begin(environment)
        assert self._socket is not None
        out, out_of_child = os.pipe()
        status, status_of_child = os.pipe()
        order = {"arguments": list(arguments), "environment": dict(environment), "folder": str(folder)}
        socket.send_fds(self._socket, [json.dumps(order).encode()], [out_of_child, status_of_child])
        os.close(out_of_child)
        os.close(status_of_child)
        pid = int(self._socket.recv(32))
        return Forked(pid, out, status)

    def _begin(self, environment: Mapping[str, str]) -> None:
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._owner = os.getpid()
        # It ends when this process has ended, since nobody else holds the other end of the pair.
        without = {name: value for name, value in environment.items() if not name.startswith("FLOWRUNNER_")}
        command = [sys.executable, __file__, str(other.fileno())]
        self._process = subprocess.Popen(
            command, env=without, pass_fds=[other.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
        )
        other.close()

    def close(self) -> None:
        """End the process; what it has forked goes on."""
        if self._socket is not None and self._owner == os.getpid():
            self._socket.close()
            self._socket = None
            self._process.wait(60)


class Forked:
    """A process as ``subprocess.Popen`` has it, that is not a child of this one."""

    def __init__(self, pid: int, out: int, status: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout = os.fdopen(out)
        self._status = status

    def poll(self) -> int | None:
        """Return the status if the process has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process has ended and return its status."""
        if self.returncode is None:
            # Not select(), which knows no descriptor above 1023.
            waiting = select.poll()
            waiting.register(self._status, select.POLLIN)
            if not waiting.poll(None if timeout is None else max(0, timeout) * 1000):
                raise subprocess.TimeoutExpired("gunicorn", timeout or 0)
            said = os.read(self._status, 32)
            os.close(self._status)
            assert said, "the process that forks has ended"
            self.returncode = int(said)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send the process a signal if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


#: The one of this process.
FORK_SERVER = ForkServer()


def _import_everything() -> None:
    """Import what gunicorn and an app import; open nothing and start no thread.

    Not ``flowrunner.serving``: the environment of the gunicorn that imports it decides what it says.
    """
    import gunicorn.app.wsgiapp
    import gunicorn.workers.gthread  # noqa: F401

    import flowrunner.app  # noqa: F401
    from flowrunner.site.building import load_plugins

    with tempfile.TemporaryDirectory() as folder:
        load_plugins({"FLOWRUNNER_DATA_DIR": folder})
    # A first app imports what is imported late; it opens nothing until it is asked.
    for name in ("alembic", "psycopg", "sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql.psycopg"):
        with contextlib.suppress(ImportError):
            __import__(name)
    gc.collect()
    gc.freeze()


def _become(order: Mapping[str, Any], out: int) -> None:
    """Run gunicorn in this process, which is a fork."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(out)
    os.environ.clear()
    os.environ.update(order["environment"])
    # ``time`` and ``tempfile`` remember what the environment said.
    time.tzset()
    tempfile.tempdir = None
    os.chdir(order["folder"])
    sys.path[0] = order["folder"]
    sys.argv = ["gunicorn", *order["arguments"]]
    runpy.run_module("gunicorn", run_name="__main__", alter_sys=True)


def _run(order: Mapping[str, Any], out: int) -> None:
    status = 1
    try:
        _become(order, out)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(Exception):
            import atexit

            atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Import, and fork as often as it is asked for."""
    orders = socket.socket(fileno=int(sys.argv[1]))
    _import_everything()
    wake, waker = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    statuses: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([orders, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            _tell_who_has_ended(statuses)
        if orders not in ready:
            continue
        said, descriptors, _, _ = socket.recv_fds(orders, _MOST, 2)
        if not said:
            return
        out, status = descriptors
        pid = os.fork()
        if pid == 0:
            for descriptor in (orders.detach(), wake, waker, status, *statuses.values()):
                os.close(descriptor)
            _run(json.loads(said), out)
        os.close(out)
        statuses[pid] = status
        orders.send(str(pid).encode())


def _tell_who_has_ended(statuses: dict[int, int]) -> None:
    for pid, descriptor in list(statuses.items()):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with contextlib.suppress(BrokenPipeError):
                os.write(descriptor, str(os.waitstatus_to_exitcode(status)).encode())
            os.close(descriptor)
            del statuses[pid]


if __name__ == "__main__":
    main()
