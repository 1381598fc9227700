"""A finding of ``flowrunner doctor``: a code, a sentence and a remedy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final, Literal

#: Every code, with what it means.
CODES: Final = {
    "setting-invalid": "a setting has a value that cannot be used",
    "setting-unknown": "a variable looks like a setting of flowrunner, and is none",
    "plugin-failed": "an installed plugin cannot be loaded",
    "memory-unknown": "no plugin offers the memory backend, or vector store, that is chosen",
    "extra-missing": "a setting needs a package that is not installed",
    "flow-needs-extra": "a flow uses what a package does that is not installed",
    "data-folder": "there is no folder for the data, or it cannot be written",
    "data-in-environment": "the data lies inside a Python environment",
    "data-in-temporary-folder": "the data lies where systems remove files by themselves",
    "data-elsewhere": "an earlier installation left data in another place",
    "data-open-to-others": "other users of this machine may read the data",
    "data-of-another-user": "files of the data belong to another user",
    "disk-full": "the disk of the data has little room left",
    "sqlite-defect": "this SQLite can damage a database that several connections write",
    "sqlite-on-network": "a SQLite database lies on a network file system",
    "database-unreachable": "the database cannot be opened or reached",
    "database-damaged": "the database file is damaged, or is none",
    "database-outdated": "the tables are of an older release",
    "database-newer": "the tables are of a newer release",
    "database-encoding": "the database does not keep Unicode text",
    "database-connections": "the server can open more connections than the database allows",
    "secret-key-other": "stored secrets were encrypted with another key",
    "secret-key-weak": "the secret key is short enough to be guessed",
    "secret-key-missing": "the key file is gone or damaged while secrets are stored",
    "no-keys": "the server wants API keys and there are none",
    "open-to-others": "a server without keys is to listen where other machines reach it",
    "hosts-unchecked": "the server answers to any host name",
    "origins-unchecked": "pages of every origin may call the API",
    "key-in-address": "API keys are accepted in addresses, which are logged on their way",
    "private-addresses-open": "flows may fetch from every private address",
    "proxy-unchecked": "everybody may say for whom they ask",
    "memory-per-process": "several processes, each with conversations of its own",
    "limits-per-process": "several processes, each with counts of its own",
    "too-few-files": "a process may open fewer files than its threads need",
    "clock-wrong": "the clock is behind what is already stored",
    "time-zones-missing": "there is no time zone database",
    "flow-unreadable": "a flow file cannot be read, or not used as it is",
    "flow-cannot-run": "a flow can be read but not run",
    "flow-with-warnings": "a flow runs, with something left out or changed",
    "variable-missing": "a flow names a variable that is set nowhere",
    "retention-never-runs": "there are rules for what is kept, and nothing applies them",
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
