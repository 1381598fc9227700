"""Uploaded files: owned by one caller, stored under generated names."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final

from sqlalchemy import ColumnElement, Connection, Engine, Row, delete, func, insert, select, update

from flowrunner.errors import BadRequest, BodyTooLarge, NotFound
from flowrunner.identity import VISITOR
from flowrunner.memory.message import new_id, utc_now
from flowrunner.store.bounds import Bound
from flowrunner.store.engine import go_alone, reading, writing
from flowrunner.store.file_copies import FileCopies
from flowrunner.store.tables import file_contents, files
from flowrunner.text.digests import digest_of
from flowrunner.text.timestamps import moment_text

_CHUNK: Final = 1024 * 1024
#: Larger files would make the database and its backups large.
_SMALL: Final = 8 * 1024 * 1024
LONGEST_NAME: Final = 255


@dataclass(frozen=True, slots=True)
class StoredFile:
    """The record of a file. ``path`` is its name in requests: ``<flow or owner>/<name>``."""

    id: str
    owner: str
    flow_id: str | None
    name: str
    path: str
    media_type: str | None
    size: int
    created_at: str


class FileStore:
    """The uploads of all owners, in one folder; a table holds the owner of each file.

    :param engine: the engine of the table.
    :param folder: the folder, created with the first file.
    :param inside: the maximum size of files stored in the database, in bytes.
    :param max_size: the maximum size of a file, in bytes.
    :param each: the limit for one owner.
    :param visitors: the limit for all anonymous owners together.
    """

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        *,
        max_size: int,
        each: Bound,
        visitors: Bound | None = None,
        inside: int = 0,
    ) -> None:
        self._engine = engine
        self._folder = folder
        self._inside = inside
        self.copies = FileCopies(engine, folder / "copies", self.place_of)
        self._max_size = max_size
        self._each = each
        self._visitors = visitors or each

    def save(
        self, owner: str, stream: BinaryIO, *, name: str, flow_id: str | None = None, media_type: str | None = None
    ) -> StoredFile:
        """Store a file and return its record.

        :param name: the name given by the client, without a folder.
        :param flow_id: the flow that it was uploaded for; None for a file of all flows of the owner.
        :raises BadRequest: for an invalid name, or if the owner already has the maximum number of files.
        :raises BodyTooLarge: if the file exceeds the size limit.
        """
        check_name(name)
        file_id = new_id()
        place = self.place_of(owner, file_id)
        size, digest = self._write(place, stream)
        values: dict[str, Any] = {
            "id": file_id,
            "owner": owner,
            "flow_id": flow_id,
            "stored_name": place.name,
            "media_type": media_type,
            "size": size,
            "digest": digest,
            "created_at": moment_text(utc_now()),
        }
        with self._storing(owner, place) as connection:
            self._refuse_too_much(connection, owner, size)
            values["name"] = _free_name(connection, owner, flow_id, name)
            values["path"] = _path(owner, flow_id, values["name"])
            connection.execute(insert(files).values(**values))
            inside = self._take_in(connection, file_id, place, size)
        if inside:
            place.unlink(missing_ok=True)
        return StoredFile(**{field: values[field] for field in StoredFile.__slots__})

    def write(
        self, owner: str, data: bytes, *, name: str, flow_id: str | None = None, append: bool = False
    ) -> StoredFile:
        """Write or append bytes to the file with a name, and return its record.

        Concurrent readers get the complete old contents.

        :raises BadRequest: for an invalid name, or if the owner already has the maximum number of files.
        :raises BodyTooLarge: if the file exceeds the size limit.
        """
        check_name(name)
        path = _path(owner, flow_id, name)
        values: dict[str, Any] = {"id": new_id(), "created_at": moment_text(utc_now()), "media_type": None}
        place = self.place_of(owner, values["id"])
        with self._storing(owner, place) as connection:
            mine = (files.c.owner == owner, files.c.path == path)
            there = connection.execute(select(files).where(*mine)).first()
            before = self._here(owner, there.id) if there is not None else None
            whole = before.read_bytes() + data if append and before is not None else data
            values["stored_name"] = place.name
            values["size"], values["digest"] = self._write(place, BytesIO(whole))
            replaced = (1, there.size) if there is not None else (0, 0)
            self._refuse_too_much(connection, owner, values["size"], replaced)
            if there is None:
                more = {"owner": owner, "flow_id": flow_id, "name": name, "path": path}
                connection.execute(insert(files).values(**values, **more))
            else:
                connection.execute(update(files).where(*mine).values(**values))
                connection.execute(delete(file_contents).where(file_contents.c.file_id == there.id))
            inside = self._take_in(connection, values["id"], place, values["size"])
        if inside:
            place.unlink(missing_ok=True)
        if before is not None:
            before.unlink(missing_ok=True)
        return self.find(owner, flow_id=flow_id, name=name)

    def list(self, owner: str, *, flow_id: str | None = None) -> list[StoredFile]:
        """Return the files of an owner, oldest first: those of a flow, or those without a flow."""
        statement = select(files).where(*_of(owner, flow_id)).order_by(files.c.created_at, files.c.id)
        with reading(self._engine) as connection:
            return [_record(row) for row in connection.execute(statement).all()]

    def find(
        self, owner: str, *, flow_id: str | None = None, file_id: str | None = None, name: str | None = None
    ) -> StoredFile:
        """Return a file of an owner, by its id, or by its name and flow.

        :raises NotFound: if it does not exist.
        """
        return _record(self._row(owner, flow_id, file_id, name))

    def open(self, found: StoredFile) -> BinaryIO:
        """Open a file for reading.

        :raises NotFound: if it was deleted meanwhile.
        """
        try:
            return self._here(found.owner, found.id).open("rb")
        except FileNotFoundError:
            raise NotFound("File not found") from None

    def delete(self, found: StoredFile) -> None:
        """Delete a file."""
        with writing(self._engine) as connection:
            connection.execute(delete(files).where(files.c.id == found.id, files.c.owner == found.owner))
            connection.execute(delete(file_contents).where(file_contents.c.file_id == found.id))
        self.copies.forget(found.owner, found.id)
        self.place_of(found.owner, found.id).unlink(missing_ok=True)

    def path_of(self, owner: str, name: str, *, flow_id: str | None = None) -> Path:
        """Return the path on disk of a file named in a run or message of an owner.

        :param name: the ``path`` that the upload returned.
        :param flow_id: only files of this flow, for keys limited to certain flows.
        :raises BadRequest: if the owner has no such file.
        """
        with reading(self._engine) as connection:
            row = connection.execute(select(files).where(files.c.owner == owner, files.c.path == name)).first()
        if row is not None and flow_id not in (None, row.flow_id):
            row = None
        place = None if row is None else self._here(owner, row.id)
        if place is None or not place.is_file():
            shown = name if len(name) <= 100 else name[:100] + "…"
            raise BadRequest(f"The file {shown} is not one of your uploads.")
        return place

    @staticmethod
    def path_for(owner: str, flow_id: str | None, name: str) -> str:
        """Return the name of a file in requests."""
        return _path(owner, flow_id, name)

    def _row(self, owner: str, flow_id: str | None, file_id: str | None, name: str | None) -> Row[Any]:
        statement = select(files).where(*_of(owner, flow_id))
        if file_id is not None:
            statement = statement.where(files.c.id == file_id)
        if name is not None:
            statement = statement.where(files.c.name == name)
        with reading(self._engine) as connection:
            row = connection.execute(statement).first()
        if row is None:
            raise NotFound("File not found")
        return row

    def place_of(self, owner: str, file_id: str) -> Path:
        """Return the path of a file on disk: hashes of owner and id, so that it contains nothing chosen by a client."""
        return self._folder / digest_of(owner)[:16] / digest_of(owner, file_id)

    @contextlib.contextmanager
    def _storing(self, owner: str, made: Path) -> Iterator[Connection]:
        """Open a transaction during which no other process stores a file for this owner, or for any anonymous visitor.

        :param made: the file that is removed if the transaction fails.
        """
        try:
            with writing(self._engine) as connection:
                if owner.startswith(VISITOR):
                    go_alone(connection, f"flowrunner files {VISITOR}")
                go_alone(connection, f"flowrunner files {owner}")
                yield connection
        except BaseException:
            made.unlink(missing_ok=True)
            raise

    def _refuse_too_much(
        self, connection: Connection, owner: str, size: int, replaced: tuple[int, int] = (0, 0)
    ) -> None:
        """Refuse a file that exceeds the limits of its owner or of all anonymous visitors together.

        :param replaced: number and bytes of the files that it replaces.
        """
        bounds = [(self._each, files.c.owner == owner)]
        if owner.startswith(VISITOR):
            # Anonymous visitors can get a new identity at any time, so a count per owner limits nothing.
            bounds.insert(0, (self._visitors, files.c.owner.startswith(VISITOR, autoescape=True)))
        for bound, whose in bounds:
            number, held = _amount(connection, whose)
            bound.check(number - replaced[0], held - replaced[1], bytes_more=size)

    def _take_in(self, connection: Connection, file_id: str, place: Path, size: int) -> bool:
        """Store a small file in the database, in the transaction of its row; return whether it was stored there."""
        if size > self._inside:
            return False
        connection.execute(insert(file_contents).values(file_id=file_id, content=place.read_bytes()))
        return True

    def _here(self, owner: str, file_id: str) -> Path:
        """Return the path of a file on this host, copied from the database if it is stored there."""
        place = self.place_of(owner, file_id)
        return place if place.is_file() else self.copies.find(owner, file_id) or place

    def _write(self, place: Path, stream: BinaryIO) -> tuple[int, str]:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        try:
            with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
                while chunk := stream.read(_CHUNK):
                    size += len(chunk)
                    if size > self._max_size:
                        raise BodyTooLarge(f"The file is larger than the limit of {self._max_size} bytes.")
                    digest.update(chunk)
                    target.write(chunk)
                target.flush()
                os.fsync(target.fileno())
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                place.unlink()
            raise
        return size, digest.hexdigest()


def check_name(name: str) -> None:
    """Check the name of a file.

    :raises BadRequest: if it is empty or too long, or contains a folder or control characters.
    """
    if not name or name in (".", "..") or len(name) > LONGEST_NAME or "/" in name or "\\" in name:
        raise BadRequest("A file name must have at most 255 characters and no folder.")
    if not name.isprintable():
        raise BadRequest("The file name contains control characters.")


def _amount(connection: Connection, whose: ColumnElement[bool]) -> tuple[int, int]:
    """Return the number of files of some owners, and their size in bytes."""
    counted = select(func.count(), func.coalesce(func.sum(files.c.size), 0)).where(whose)
    number, size = connection.execute(counted).one()
    return int(number), int(size)


def _path(owner: str, flow_id: str | None, name: str) -> str:
    return f"{flow_id or owner}/{name}"


def _free_name(connection: Any, owner: str, flow_id: str | None, name: str) -> str:
    """Return a name not used by the owner's other files for the flow: ``a.txt``, ``a (1).txt`` and so on."""
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    number, tried = 0, name
    while connection.execute(
        select(files.c.id).where(files.c.owner == owner, files.c.path == _path(owner, flow_id, tried))
    ).first():
        number += 1
        tried = f"{stem} ({number}){dot}{suffix}"
    return tried


def _of(owner: str, flow_id: str | None) -> Sequence[ColumnElement[bool]]:
    return (files.c.owner == owner, files.c.flow_id.is_(None) if flow_id is None else files.c.flow_id == flow_id)


def _record(row: Row[Any]) -> StoredFile:
    return StoredFile(**{field: getattr(row, field) for field in StoredFile.__slots__})


def files_inside(engine: Engine, setting: int | None) -> int:
    """Return the maximum size of files stored in the database: by default 0 for SQLite, which hosts do not share."""
    if setting is not None:
        return setting
    return 0 if engine.dialect.name == "sqlite" else _SMALL
