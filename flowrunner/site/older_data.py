"""Find and move data that earlier installations kept in their virtual environment."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flowrunner.errors import BadRequest, Conflict
from flowrunner.site.data_folder import doubts_about
from flowrunner.store.engine import DATABASE_FILE

logger = logging.getLogger("flowrunner")

#: The tables that hold user data, by name of the data: of the app or of the SQLite memory backend.
_TABLES: Final = {
    "messages": "flowrunner_messages",
    "flows": "flowrunner_flows",
    "variables": "flowrunner_variables",
    "keys": "flowrunner_api_keys",
    "files": "flowrunner_files",
}
#: The former instance folder of the stand-alone app in an environment.
_NAME: Final = Path("var", "flowrunner-instance")
#: The folders in which installers of programs keep environments.
_ENVIRONMENTS_OF_TOOLS: Final = (
    ("~/.local/share/pipx/venvs", "*"),
    ("~/.local/share/uv/tools", "*"),
    ("~/.cache/uv/archive-v0", "*"),
)


@dataclass(frozen=True, slots=True)
class Holdings:
    """The contents of a data folder: numbers of messages, flows, variables, keys and files; conversations in files."""

    folder: Path
    counts: dict[str, int]

    def __bool__(self) -> bool:
        return any(self.counts.values())

    def __str__(self) -> str:
        shown = [f"{count} {word if count > 1 else word[:-1]}" for word, count in self.counts.items() if count]
        return ", ".join(shown) or "nothing"


def holdings_of(folder: Path) -> Holdings:
    """Return the contents of a data folder, without changing it."""
    counts = dict.fromkeys(_TABLES, 0)
    database = folder / DATABASE_FILE
    if database.is_file():
        try:
            with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
                counts = {word: _count(connection, table) for word, table in _TABLES.items()}
        except sqlite3.Error:
            # A file that cannot be read does not mean that there is no data.
            counts["messages"] = 1
    counts["conversations"] = sum(1 for _ in _files_of(folder / "messages" / "sessions", "*.jsonl"))
    return Holdings(folder, counts)


def find_older_places(current: Path) -> list[Holdings]:
    """Return the folders with data of earlier installations of this user.

    :param current: the current data folder, which is excluded.
    """
    now = os.path.realpath(current)
    found: dict[str, Holdings] = {}
    for folder in _candidates():
        real = os.path.realpath(folder)
        if real == now or real in found:
            continue
        try:
            held = holdings_of(folder)
        except OSError:
            continue
        if held:
            found[real] = held
    return list(found.values())


def sentence_about(held: Holdings) -> str:
    """Return the message about an older data folder."""
    return (
        f"An older data folder contains data ({held}): {held.folder}. Move it here with flowrunner data"
        f" move {held.folder}."
    )


def notes_on(folder: Path) -> list[str]:
    """Return warnings about the data folder: why it may be lost, and which older folders contain data."""
    return [*doubts_about(folder), *map(sentence_about, find_older_places(folder))]


def announce_data_folder(folder: Path) -> None:
    """Log the location of the data, and warnings about it."""
    logger.info("The data is in %s.", folder)
    for sentence in notes_on(folder):
        logger.warning("%s", sentence)


def move_data(source: Path, target: Path) -> Holdings:
    """Move a complete data folder to the current one; the source is removed when everything was copied.

    :returns: the contents that were moved.
    :raises BadRequest: if the source has no data.
    :raises Conflict: if the target has data, or a server uses the source.
    """
    held, there = holdings_of(source), holdings_of(target)
    if not held:
        raise BadRequest(f"There is no flowrunner data in {source}.")
    if os.path.realpath(source) == os.path.realpath(target):
        raise BadRequest(f"The data is already in {source}.")
    if there:
        raise Conflict(
            f"{target} contains data ({there}), which would be lost. To merge conversations:"
            f" flowrunner memory copy sqlite sqlite --from-set DATA_DIR={source} --to-set DATA_DIR={target}."
        )
    _take_alone(source)
    _take_alone(target)
    draft = target.with_name(f".{target.name}.moving")
    shutil.rmtree(draft, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, draft, symlinks=True)
    draft.chmod(0o700)
    if (copied := holdings_of(draft)).counts != held.counts:
        shutil.rmtree(draft)
        raise Conflict(
            f"{source} changed while it was copied ({held}, then {copied}): stop what uses it, and"
            f" run the command again."
        )
    _flush(draft)
    if target.exists():
        shutil.rmtree(target)
    draft.rename(target)
    shutil.rmtree(source)
    return held


def _candidates() -> Iterator[Path]:
    from flask import Flask

    yield Path(Flask("flowrunner", static_folder=None).instance_path)
    yield Path(sys.prefix) / _NAME
    for name in (".venv", "venv"):
        yield Path.cwd() / name / _NAME
    for folder, each in _ENVIRONMENTS_OF_TOOLS:
        for environment in _files_of(Path(os.path.expanduser(folder)), each):  # noqa: PTH111 - no home is no error
            yield environment / _NAME


def _files_of(folder: Path, pattern: str) -> Iterable[Path]:
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


def _count(connection: sqlite3.Connection, table: str) -> int:
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone()
    if known is None:
        return 0
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - a name of ours


def _take_alone(folder: Path) -> None:
    """Checkpoint the database into a single file, which works only while no other process has it open.

    :raises Conflict: if another process uses it.
    """
    database = folder / DATABASE_FILE
    if not database.is_file():
        return
    with closing(sqlite3.connect(database, timeout=1, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA journal_mode=DELETE").fetchone()
        except sqlite3.OperationalError as error:
            raise Conflict(
                f"The database in {folder} is in use, perhaps by a server: stop it, and run the command again."
            ) from error


def _flush(folder: Path) -> None:
    """Flush the copy to disk before the original is removed."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                os.fsync(file.fileno())
