"""Checks of the machine: clock, time zones, open files, processes, SQLite version."""

from __future__ import annotations

import sqlite3
import zoneinfo
from collections.abc import Iterator
from typing import Final

from flowrunner.doctor.finding import Diagnosis, error, warning
from flowrunner.doctor.installation import Installation
from flowrunner.runs.limits import rates_of
from flowrunner.settings.reading import PREFIX

#: Where https://sqlite.org/wal.html says that the WAL-reset bug was mended: 3.51.3, and two older lines.
_MENDED: Final = {(3, 44): 6, (3, 50): 7, (3, 51): 3}
_MENDED_FOR_GOOD: Final = (3, 51, 3)


def find_sqlite_defect(installation: Installation) -> Iterator[Diagnosis]:
    """Find a SQLite that can, rarely, damage a database in WAL mode with two writers."""
    version = sqlite3.sqlite_version_info
    if installation.sqlite_file is None or not has_reset_defect(version):
        return
    message = f"SQLite {sqlite3.sqlite_version} has the WAL-reset bug: in rare cases, two writers damage a database."
    remedy = "Use a Python with SQLite 3.51.3 or newer, or PostgreSQL; make backups meanwhile (flowrunner backup)."
    yield warning("sqlite-defect", message, remedy)


def has_reset_defect(version: tuple[int, int, int]) -> bool:
    """Return whether a version of SQLite has the WAL-reset bug (3.7.0 to 3.51.2, but for two mended lines)."""
    major, minor, patch = version
    return (3, 7, 0) <= version < _MENDED_FOR_GOOD and patch < _MENDED.get((major, minor), patch + 1)


def find_lonely_memory(installation: Installation) -> Iterator[Diagnosis]:
    """Find several processes with a memory that lives in one."""
    settings = installation.settings
    if settings is not None and settings.memory == "in-memory" and installation.workers() > 1:
        message = f"{PREFIX}MEMORY is in-memory with {installation.workers()} processes: each sees its own messages."
        yield error("memory-per-process", message, f"Set {PREFIX}MEMORY to sqlite, or {PREFIX}WORKERS to 1.")


def find_limits_per_process(installation: Installation) -> Iterator[Diagnosis]:
    """Find limits that several processes count each for itself."""
    settings = installation.settings
    if settings is None or (workers := installation.workers()) < 2:
        return
    if settings.limits_store == "memory" and any(rates_of(settings).values()):
        message = f"{PREFIX}LIMITS_STORE is memory with {workers} processes: each process grants the whole rate."
        yield warning("limits-per-process", message, f"Leave {PREFIX}LIMITS_STORE out, or name a Redis server.")
    if settings.max_runs_per_user is not None:
        message = f"{PREFIX}MAX_RUNS_PER_USER is counted separately in each of {workers} processes."
        yield warning("limits-per-process", message, f"Set {PREFIX}RUNS_PER_KEY, which is counted over all processes.")


def find_few_files(installation: Installation) -> Iterator[Diagnosis]:
    """Find a bound on open files below what the threads of a process use."""
    settings = installation.settings
    try:
        import resource
    except ImportError:  # a system without such bounds
        return
    bound, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if settings is None or bound == resource.RLIM_INFINITY:
        return
    # A thread has its client, a connection of its own to the database with log and index, and may call a model.
    wanted = 5 * settings.threads + 100
    if bound < wanted:
        message = f"A process may open {bound} files, and its {settings.threads} threads may need {wanted}."
        yield warning("too-few-files", message, f"Raise it (ulimit -n, LimitNOFILE=), or lower {PREFIX}THREADS.")


def find_missing_time_zones(installation: Installation) -> Iterator[Diagnosis]:
    """Find a machine that knows no time zone but UTC."""
    if installation.settings is not None and not zoneinfo.available_timezones():
        message = "This machine has no time zone database, so components only know UTC."
        yield warning("time-zones-missing", message, "Install tzdata, from the system's packages or with pip.")
