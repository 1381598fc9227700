"""A finding of ``flowrunner doctor``: a code, a sentence and a remedy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final, Literal

#: Every code, with what it means.
CODES: Final = {
    "setting-invalid": "a setting has an invalid value",
    "setting-unknown": "a variable looks like a setting of flowrunner but is not one",
    "plugin-failed": "an installed plugin cannot be loaded",
    "memory-unknown": "no plugin offers the selected memory backend or vector store",
    "extra-missing": "a setting needs a package that is not installed",
    "flow-needs-extra": "a flow needs a package that is not installed",
    "data-folder": "the data folder is missing or not writable",
    "data-in-environment": "the data folder is inside a Python environment",
    "data-in-temporary-folder": "the data folder is in a place that the system cleans up",
    "data-elsewhere": "an earlier installation left data in another folder",
    "data-open-to-others": "other users of this machine can read the data",
    "data-of-another-user": "data files belong to another user",
    "disk-full": "the disk is almost full",
    "sqlite-defect": "this SQLite version can damage a database with several writers",
    "sqlite-on-network": "a SQLite database is on a network file system",
    "database-unreachable": "the database cannot be opened or reached",
    "database-damaged": "the database file is damaged or not a database",
    "database-rights": "the role lacks privileges on the tables in PostgreSQL",
    "database-foreign": "something else is where the database file belongs",
    "database-outdated": "the tables are from an older release",
    "database-newer": "the tables are from a newer release",
    "database-encoding": "the database cannot store Unicode text",
    "database-connections": "the server can open more connections than the database allows",
    "secret-key-other": "stored secrets were encrypted with another key",
    "secret-key-weak": "the secret key is too short",
    "secret-key-missing": "there are stored secrets, but the key file is missing or damaged",
    "no-keys": "API keys are required and there are none",
    "open-to-others": "a server without API keys would be reachable from other machines",
    "hosts-unchecked": "requests with any Host header are answered",
    "origins-unchecked": "any website may call the API",
    "key-in-address": "API keys are accepted in URLs, which proxies log",
    "private-addresses-open": "flows may fetch from any private address",
    "proxy-unchecked": "clients may forge their address",
    "memory-per-process": "several processes, each with its own conversations",
    "limits-per-process": "several processes, each with its own rate counts",
    "too-few-files": "a process may not open as many files as its threads need",
    "clock-wrong": "the clock is behind stored timestamps",
    "time-zones-missing": "the time zone database is missing",
    "flow-unreadable": "a flow file cannot be read, or not used unchanged",
    "flow-cannot-run": "a flow can be read but not run",
    "flow-with-warnings": "a flow runs, with something left out or changed",
    "variable-missing": "a flow uses a variable that is not set",
    "retention-never-runs": "there are retention rules, but nothing applies them",
}

Level = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that is wrong.

    ``code`` is one of :data:`CODES`. ``level`` is ``error`` where the server does not start, answers
    wrongly or may lose or show data, else ``warning``. ``message`` is a sentence, ``remedy`` another.
    """

    code: str
    level: Level
    message: str
    remedy: str

    def to_json(self) -> dict[str, str]:
        """Return it as ``flowrunner doctor --json`` shows it."""
        return asdict(self)


def error(code: str, message: str, remedy: str) -> Diagnosis:
    """Return a finding of the level ``error``."""
    return Diagnosis(code, "error", message, remedy)


def warning(code: str, message: str, remedy: str) -> Diagnosis:
    """Return a finding of the level ``warning``."""
    return Diagnosis(code, "warning", message, remedy)
