"""Runs as jobs of procrastinate: each job holds the id of a run and nothing else."""

from __future__ import annotations

import threading
from typing import Any, Final

import procrastinate
import psycopg
from sqlalchemy import make_url

from flowrunner import RunEngine, Settings, get_runner

TASK: Final = "flowrunner.carry_out"
#: The number of the lock under which one process makes the tables.
_LOCK: Final = 0x666C6F77


def connection_text(settings: Settings) -> str:
    """Return where the queue is, as psycopg takes it."""
    url = make_url(settings.procrastinate_url or settings.database_url)
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def make_procrastinate(settings: Settings) -> procrastinate.App:
    """Return a procrastinate app that sends and takes runs; its tables are made where there are none."""
    where = connection_text(settings)
    ensure_tables(where)
    return procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=where, min_size=1, max_size=8))


def ensure_tables(where: str) -> None:
    """Make procrastinate's tables where there are none; of several processes one does it."""
    with psycopg.connect(where) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        found = connection.execute("SELECT to_regclass('procrastinate_jobs')").fetchone()
        if found is None or found[0] is None:
            script = procrastinate.schema.SchemaManager.get_schema()
            connection.execute(script.encode())


def carrying_out(made: procrastinate.App, queue: str, app: Any) -> Any:
    """Add the task that carries out the runs of a Flask app, and return it."""

    @made.task(name=TASK, queue=queue)
    def carry_out(run_id: str) -> None:
        with app.app_context():
            get_runner(app=app).runner.carry_out(run_id)

    return carry_out


class ProcrastinateEngine(RunEngine):
    """Sends runs to procrastinate's workers; connects when it first sends."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._app: Any = None

    def send(self, run_id: str) -> None:
        """Have a worker begin a run."""
        with self._lock:
            if self._app is None:
                made = make_procrastinate(self._settings)
                made.open()
                self._app = made
        self._app.configure_task(TASK, queue=self._settings.procrastinate_queue).defer(run_id=run_id)

    def close(self) -> None:
        """Close the connections to the database."""
        with self._lock:
            made, self._app = self._app, None
        if made is not None:
            made.close()
