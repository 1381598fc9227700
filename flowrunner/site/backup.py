"""Back up all data of a running runner, and restore it into an empty place."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL

from flowrunner.errors import BadRequest, Conflict
from flowrunner.memory import EVERY_OWNER, Memory
from flowrunner.memory.digests import digest_lines, digest_sessions, same_digests
from flowrunner.memory.message import utc_now
from flowrunner.memory.transfer import export_lines, import_lines
from flowrunner.store.secretbox import KEY_FILE
from flowrunner.text.timestamps import moment_text

if TYPE_CHECKING:
    from sqlalchemy import Engine

MANIFEST: Final = "manifest.json"
SQLITE: Final = "flowrunner.db"
DUMP: Final = "database.dump"
MESSAGES: Final = "messages.jsonl"
FILES: Final = "files"
_FORM: Final = 1


def write_backup(
    target: Path, *, engine: Engine, data_dir: Path, memory: Memory, in_database: bool, with_key: bool, version: str
) -> dict[str, Any]:
    """Write a backup to a new folder, which gets its name when the backup is complete.

    The database is copied with its own tools, so the backup is consistent while a server is running.

    :param in_database: the conversations are in the app's own database.
    :param with_key: include the key that encrypts stored secrets.
    :returns: the manifest.
    :raises Conflict: if the folder is not empty.
    :raises BadRequest: if a required program is missing or fails, or there is no key to include.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise Conflict(f"{target} is not empty; write the backup to a new folder.")
    draft = target.with_name(f".{target.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    try:
        if engine.dialect.name == "sqlite":
            _copy_sqlite(Path(str(engine.url.database)), draft / SQLITE)
        else:
            _run_tool("pg_dump", engine.url, "--format=custom", "--no-owner", f"--file={draft / DUMP}")
        if not in_database:
            with (draft / MESSAGES).open("w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in export_lines(memory.for_owner(EVERY_OWNER)))
        if (data_dir / FILES).is_dir():
            shutil.copytree(data_dir / FILES, draft / FILES)
        if with_key:
            _copy_key(data_dir, draft)
        manifest = {
            "form": _FORM,
            "version": version,
            "made_at": moment_text(utc_now()),
            "database": engine.dialect.name,
            "memory": memory.name,
            "messages_in_database": in_database,
            "contents": {path: _facts(draft / path) for path in _paths(draft)},
        }
        (draft / MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")
        if target.exists():
            target.rmdir()
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return manifest


def read_backup(source: Path) -> dict[str, Any]:
    """Verify a backup and return its manifest.

    :raises BadRequest: if it is not a backup, or if a part is missing, changed or unknown.
    """
    try:
        manifest = json.loads((source / MANIFEST).read_text("utf-8"))
        contents, form = dict(manifest["contents"]), manifest["form"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadRequest(f"{source} is not a backup: it has no readable {MANIFEST}.") from error
    if form != _FORM:
        raise BadRequest(
            f"{source} was written by another release ({manifest.get('version')}); restore it with that release."
        )
    there = set(_paths(source)) - {MANIFEST}
    for path in sorted(there ^ set(contents)):
        raise BadRequest(
            f"The backup {source} {'lacks the file' if path in contents else 'contains the unknown file'} {path}."
        )
    for path, facts in contents.items():
        if _facts(source / path) != facts:
            raise BadRequest(f"In the backup {source}, {path} was changed after it was written.")
    found: dict[str, Any] = manifest
    return found


def restore_database(source: Path, manifest: dict[str, Any], url: URL) -> None:
    """Restore the database of a backup into a database without our tables.

    :raises BadRequest: if the kinds of database differ, or the restoring program fails.
    """
    kind = url.get_backend_name()
    if kind != manifest["database"]:
        raise BadRequest(
            f"The backup holds a database of {manifest['database']}, but FLOWRUNNER_DATABASE_URL names a {kind}"
            f" database."
        )
    if kind == "sqlite":
        place = Path(str(url.database))
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / SQLITE, place)
        _check_sqlite(place)
        return
    _run_tool(
        "pg_restore",
        url,
        "--no-owner",
        "--exit-on-error",
        "--single-transaction",
        f"--dbname={url.database}",
        str(source / DUMP),
        name_database=False,
    )


def restore_rest(source: Path, data_dir: Path) -> bool:
    """Restore the files and the key of a backup to a data folder; return whether there was a key."""
    if (source / FILES).is_dir():
        shutil.copytree(source / FILES, data_dir / FILES, dirs_exist_ok=True)
    if not (source / KEY_FILE).is_file():
        return False
    place = data_dir / KEY_FILE
    place.touch(mode=0o600)
    shutil.copyfile(source / KEY_FILE, place)
    return True


def restore_messages(source: Path, memory: Memory) -> int:
    """Restore and verify the conversations of a backup that has them outside its database.

    :raises Conflict: if the store returns something else.
    """
    path = source / MESSAGES
    with path.open("rb") as lines:
        done = import_lines(memory, lines, skip_existing=True)
    with path.open("rb") as lines:
        wrong = same_digests(digest_lines(lines), digest_sessions(memory.for_owner(EVERY_OWNER)))
    if wrong:
        raise Conflict(f"What was restored differs from the backup: {wrong[0]}.")
    return done.stored + done.skipped


def _copy_sqlite(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source, timeout=30)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)
        # Not in WAL mode, so that the copy is one file: opening it would create two more.
        other.execute("PRAGMA journal_mode=DELETE").fetchone()
    _check_sqlite(target)


def _check_sqlite(place: Path) -> None:
    with closing(sqlite3.connect(place)) as connection:
        found = connection.execute("PRAGMA quick_check").fetchone()[0]
    if found != "ok":
        raise BadRequest(f"The database {place} is damaged: {found}.")


def _copy_key(data_dir: Path, target: Path) -> None:
    if not (data_dir / KEY_FILE).is_file():
        raise BadRequest("There is no key file to include: the key is set by FLOWRUNNER_SECRET_KEY, so keep that.")
    (target / KEY_FILE).touch(mode=0o600)
    shutil.copyfile(data_dir / KEY_FILE, target / KEY_FILE)


def _run_tool(program: str, url: URL, *arguments: str, name_database: bool = True) -> None:
    """Run a PostgreSQL program, with the password in the environment, which lists of processes do not show."""
    options = {"--host": url.query.get("host") or url.host, "--port": url.query.get("port") or url.port}
    command = [program, "--no-password", *arguments]
    command += [f"{name}={value}" for name, value in options.items() if value]
    command += [f"--username={url.username}"] if url.username else []
    command += [f"--dbname={url.database}"] if name_database else []
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:
        raise BadRequest(f"{program} is not installed; it is part of the PostgreSQL client programs.") from None
    if done.returncode:
        raise BadRequest(f"{program} failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")


def _paths(folder: Path) -> Iterator[str]:
    return (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file())


def _facts(path: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1024 * 1024):
            digest.update(chunk)
    return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}
