"""A PostgreSQL server of the tests' own, where the machine has the programs for one.

They come with the Debian package ``postgresql`` (and others). The server refuses to run as root, so
it then runs as another user. It listens on a socket in a temporary folder and on no network.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL

_PLACES = "/usr/lib/postgresql/*/bin"
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "lc_messages": "C",
    # In the server's folder: servers that are stopped at once leave theirs in /dev/shm, of which a container has 64 MB.
    "dynamic_shared_memory_type": "mmap",
}


def find_programs() -> Path | None:
    """Return the folder with ``initdb`` and ``postgres``, the newest where there are several."""
    for folder in sorted(Path("/").glob(_PLACES[1:]), key=lambda path: float(path.parent.name), reverse=True):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    found = shutil.which("initdb")
    folder = Path(found).resolve().parent if found else None
    return folder if folder is not None and (folder / "postgres").exists() else None


class PostgresServer:
    """A server with one database, ``test``, and one user, ``postgres``, who asks for no password."""

    def __init__(self, programs: Path) -> None:
        # A short path, which other users may enter: it has the socket, and the server may not be root's.
        in_memory = os.environ.get("PYTEST_DEBUG_TEMPROOT") == "/dev/shm"
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/dev/shm" if in_memory else "/tmp"))
        self._programs = programs
        self._user = _other_user() if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        self._run(
            "initdb",
            "--no-sync",
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
            "-D",
            str(self.folder / "data"),
        )
        self._log = (self.folder / "server.log").open("wb")
        self.start()
        self._wait_until_ready()

    def start(self) -> None:
        """Start the server; at first, or after :meth:`halt`."""
        options = [f"-c{name}={value}" for name, value in _SETTINGS.items()]
        self._server = self._start("postgres", "-D", str(self.folder / "data"), "-k", str(self.folder), *options)

    def halt(self) -> None:
        """Stop the server and keep its data; what its clients had under way is broken off."""
        self._server.send_signal(signal.SIGINT)
        self._server.wait(60)

    def crash(self) -> None:
        """Let the server end at once, without writing anything more, and start it on what it had written."""
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait(60)
        self.start()
        self._wait_until(lambda: self.execute("SELECT 1"))

    def freeze(self) -> None:
        """Stop all processes of the server where they stand; nobody gets an answer, nor a refusal."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        parent = self._server.pid
        # The parent first, or last: it must not begin or miss a child in between.
        os.kill(parent, number)
        for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), number)

    def url(self, database: str = "test", user: str = "postgres") -> URL:
        """Return the SQLAlchemy URL of a database."""
        return URL.create("postgresql+psycopg", username=user, database=database, query={"host": str(self.folder)})

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Execute statements outside a transaction."""
        with psycopg.connect(host=str(self.folder), user="postgres", dbname=database, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def stop(self) -> None:
        """Stop the server at once and remove what it has left."""
        if self._server.poll() is None:
            self.thaw()
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(30)
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait_until_ready(self) -> None:
        self._wait_until(lambda: self.execute("CREATE DATABASE test"))
        self.execute("CREATE EXTENSION pg_trgm", database="test")

    def _wait_until(self, ask: Callable[[], None]) -> None:
        """Ask again and again until the server lets itself be asked."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return ask()
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._server.poll() is not None:
                    raise
                time.sleep(0.05)

    def _start(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        user = {} if self._user is None else {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        return subprocess.Popen(
            [str(self._programs / program), *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=getattr(self, "_log", subprocess.DEVNULL),
            stderr=subprocess.STDOUT,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            **user,
        )

    def _run(self, program: str, *arguments: str) -> None:
        status = self._start(program, *arguments).wait(120)
        if status:
            raise RuntimeError(f"{program} failed with {status}")


def _other_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL refuses to run as root, and there is no user postgres or nobody")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Start a server for the tests that ask for it, or skip them where none can be started."""
    programs = find_programs()
    if programs is None:
        pytest.skip("the programs of a PostgreSQL server are not installed (Debian: apt install postgresql)")
    server = PostgresServer(programs)
    yield server
    server.stop()
