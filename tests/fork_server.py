"""gunicorn and commands by a fork of a process that has imported everything: ``python tests/fork_server.py FD PATH``.

A test of faults starts gunicorn again and again, and each start imports for over a second what the last one had
imported. Here one process, started with the first, imports it once; whoever wants a gunicorn, or a command of
``flowrunner``, gets a fork of it that runs the same program with the arguments, the environment, the folder and the
streams asked for. It is a gunicorn like any other from then on: a master with workers, in a session of its own, that
may be killed. A shell finds the command as a small program, ``forked_command.py``, which asks for the fork at PATH.
How either begins in a fresh process is what ``tests/serve`` and ``tests/cli`` show; a test that looks at that starts
the program itself.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

#: The longest order: arguments and environment.
_MOST = 1_000_000


class ForkServer:
    """The process that imports once and forks; it starts with the first order and ends with this one."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._owner = 0

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, program: str = "gunicorn"
    ) -> Forked:
        """Fork a server with arguments and return its process.

        :param program: ``gunicorn`` or ``flowrunner``.
        """
        out, out_of_child = os.pipe()
        with open(os.devnull) as nothing:  # noqa: PTH123
            streams = (nothing.fileno(), out_of_child, out_of_child)
            pid, status = self._fork(program, arguments, environment, folder, streams)
        os.close(out_of_child)
        return Forked(pid, out, status)

    def run(
        self,
        arguments: Sequence[object],
        environment: Mapping[str, str],
        folder: Path,
        program: str = "flowrunner",
        given: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end and return what it printed, as ``subprocess.run`` does.

        :param program: ``flowrunner``, ``gunicorn``, or ``python`` for a piece of code and its arguments, as after
            ``python -c``.
        :param given: what it reads from standard input.
        """
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            said.write(given.encode())
            said.seek(0)
            streams = (said.fileno(), out.fileno(), err.fileno())
            pid, status = self._fork(program, arguments, environment, folder, streams)
            with Forked(pid, os.dup(out.fileno()), status) as forked:
                forked.wait(120)
            for file in (out, err):
                file.seek(0)
            return subprocess.CompletedProcess(
                list(map(str, arguments)), forked.returncode or 0, out.read().decode(), err.read().decode()
            )

    def put_command(self, folder: Path, environment: dict[str, str]) -> None:
        """Put the command ``flowrunner`` into a folder, as a program that asks for a fork."""
        self._ready(environment)
        client = Path(__file__).with_name("forked_command.py")
        program = folder / "flowrunner"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {client} {self._path} "$@"\n')
        program.chmod(0o755)

    def _fork(
        self,
        program: str,
        arguments: Sequence[object],
        environment: Mapping[str, str],
        folder: Path,
        streams: tuple[int, int, int],
    ) -> tuple[int, int]:
        self._ready(environment)
        assert self._socket is not None
        status, status_of_child = os.pipe()
        order = {
            "program": program,
            "arguments": list(map(str, arguments)),
            "environment": dict(environment),
            "folder": str(folder),
        }
        socket.send_fds(self._socket, [json.dumps(order).encode()], [*streams, status_of_child])
        os.close(status_of_child)
        return int(self._socket.recv(32)), status

    def _ready(self, environment: Mapping[str, str]) -> None:
        if self._socket is None or self._owner != os.getpid():
            self._begin(environment)

    def _begin(self, environment: Mapping[str, str]) -> None:
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._owner = os.getpid()
        # It ends when this process has ended, since nobody else holds the other end of the pair.
        without = {k: v for k, v in environment.items() if not k.startswith(("FLOWRUNNER_", "PYTHONWARNINGS"))}
        self._folder = tempfile.mkdtemp(prefix="forks")
        self._path = f"{self._folder}/orders"
        command = [sys.executable, __file__, str(other.fileno()), self._path]
        self._process = subprocess.Popen(
            command, env=without, pass_fds=[other.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
        )
        other.close()
        assert self._socket.recv(32) == b"ready"

    def close(self) -> None:
        """End the process; what it has forked goes on."""
        if self._socket is not None and self._owner == os.getpid():
            self._socket.close()
            self._socket = None
            self._process.wait(60)
            shutil.rmtree(self._folder)


class Forked:
    """A process as ``subprocess.Popen`` has it, that is not a child of this one."""

    def __init__(self, pid: int, out: int, status: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout = os.fdopen(out)
        self._status = status

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait(60)

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
    from flowrunner.cli import COMMANDS, cli
    from flowrunner.site.building import load_plugins

    with tempfile.TemporaryDirectory() as folder:
        load_plugins({"FLOWRUNNER_DATA_DIR": folder})
    for name in COMMANDS:
        cli.get_command(None, name)  # type: ignore[arg-type]
    # A first app imports what is imported late; it opens nothing until it is asked.
    for name in ("alembic", "psycopg", "sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql.psycopg"):
        with contextlib.suppress(ImportError):
            __import__(name)
    gc.collect()
    gc.freeze()


def _become(order: Mapping[str, Any], streams: Sequence[int]) -> None:
    """Run a program in this process, which is a fork."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for stream in {*streams} - {0, 1, 2}:
        os.close(stream)
    os.environ.clear()
    os.environ.update(order["environment"])
    if os.environ.get("PYTHONWARNINGS") == "error":
        warnings.simplefilter("error")
    # ``time`` and ``tempfile`` remember what the environment said.
    time.tzset()
    tempfile.tempdir = None
    os.chdir(order["folder"])
    sys.path[0] = order["folder"]
    sys.path[1:1] = [
        str(Path(place).absolute()) for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place
    ]
    sys.argv = [order["program"], *order["arguments"]]
    if order["program"] == "gunicorn":
        runpy.run_module("gunicorn", run_name="__main__", alter_sys=True)
        return
    if order["program"] == "python":
        sys.argv[:2] = ["-c"]
        sys.modules["__main__"] = main_module = ModuleType("__main__")
        exec(compile(order["arguments"][0], "<string>", "exec"), vars(main_module))
        return
    from flowrunner.cli import main

    sys.path[0] = str(Path(sys.executable).parent)
    main()


def _run(order: Mapping[str, Any], streams: Sequence[int]) -> None:
    status = 1
    try:
        _become(order, streams)
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

            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Import, and fork as often as it is asked for."""
    orders = socket.socket(fileno=int(sys.argv[1]))
    _import_everything()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(sys.argv[2])
    listener.listen()
    orders.send(b"ready")
    wake, waker = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    statuses: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([orders, listener, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            _tell_who_has_ended(statuses)
        ours = (orders, listener, wake, waker)
        if orders in ready:
            said, descriptors, _, _ = socket.recv_fds(orders, _MOST, 4)
            if not said:
                return
            *streams, status = descriptors
            orders.send(str(_fork(said, streams, status, statuses, ours)).encode())
        if listener in ready:
            caller = listener.accept()[0]
            said, streams, _, _ = socket.recv_fds(caller, _MOST, 3)
            # The end of the connection tells the status.
            pid = _fork(said, streams, os.dup(caller.fileno()), statuses, (*ours, caller))
            caller.send(str(pid).encode())
            caller.close()


def _fork(said: bytes, streams: Sequence[int], status: int, statuses: dict[int, int], ours: Sequence[Any]) -> int:
    """Fork a process that runs what is ordered; ``status`` is told how it ended."""
    pid = os.fork()
    if pid == 0:
        for one in ours:
            os.close(one if isinstance(one, int) else one.detach())
        for descriptor in (status, *statuses.values()):
            os.close(descriptor)
        _run(json.loads(said), streams)
    for descriptor in streams:
        os.close(descriptor)
    statuses[pid] = status
    return pid


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
