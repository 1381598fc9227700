"""All checks, in the order in which their findings are shown."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from flowrunner.doctor import access, database, flows, folder, machine, settings
from flowrunner.doctor.finding import Diagnosis
from flowrunner.doctor.installation import Installation

Check = Callable[[Installation], Iterator[Diagnosis]]

#: What can be told without opening the database or reading flows; ``serve`` asks these too.
QUICK: Final[tuple[Check, ...]] = (
    settings.find_refused,
    settings.find_unknown,
    settings.find_failed_plugins,
    settings.find_unknown_stores,
    settings.find_missing_extras,
    settings.find_idle_retention,
    folder.find_folder_trouble,
    folder.find_unsafe_files,
    folder.find_little_room,
    folder.find_network_file_system,
    access.find_open_doors,
    machine.find_sqlite_defect,
    machine.find_lonely_memory,
    machine.find_limits_per_process,
    machine.find_few_files,
    machine.find_missing_time_zones,
)
CHECKS: Final[tuple[Check, ...]] = (*QUICK, database.find_database_trouble, flows.find_flow_trouble)


def examine(overrides: Mapping[str, Any] | None = None) -> list[Diagnosis]:
    """Look an installation over, without changing anything.

    :param overrides: settings of the command line, by name without prefix.
    :returns: what is wrong, errors first; nothing for an installation in order.
    """
    with _quiet():
        installation = Installation.find(overrides)
        found = [finding for check in CHECKS for finding in check(installation)]
    return sorted(found, key=lambda finding: finding.level != "error")


def serious(installation: Installation) -> list[Diagnosis]:
    """Return the errors that can be told at once, for the start of a server."""
    with _quiet():
        return [finding for check in QUICK for finding in check(installation) if finding.level == "error"]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what loading would log out of the report, which says it in its own way."""
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
