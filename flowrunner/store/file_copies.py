"""Copy files out of the database for components that need a path."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, select

from flowrunner.store.engine import reading
from flowrunner.store.tables import file_contents

#: Seconds after which a copy is removed, since the file may have been deleted on another host.
_KEPT: Final = 3600.0


class FileCopies:
    """Copies of files, created on demand and removed after a while.

    :param folder: the folder of the copies.
    :param place_of: returns a path for a file of an owner that contains nothing chosen by a client.
    """

    def __init__(self, engine: Engine, folder: Path, place_of: Callable[[str, str], Path]) -> None:
        self._engine = engine
        self._folder = folder
        self._place_of = place_of

    def find(self, owner: str, file_id: str) -> Path | None:
        """Return the path of a copy of a file; None if the file is not in the database."""
        place = self._place(owner, file_id)
        if not place.is_file():
            wanted = select(file_contents.c.content).where(file_contents.c.file_id == file_id)
            with reading(self._engine) as connection:
                content = connection.execute(wanted).scalar()
            if content is None:
                return None
            self._write(place, bytes(content))
        return place

    def forget(self, owner: str, file_id: str) -> None:
        """Remove the copy of a file, if it exists."""
        self._place(owner, file_id).unlink(missing_ok=True)

    def _place(self, owner: str, file_id: str) -> Path:
        return self._folder / self._place_of(owner, file_id).name

    def _write(self, place: Path, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweep()
        draft = place.with_name(f"{place.name}.{os.urandom(4).hex()}")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
            draft.replace(place)
        finally:
            draft.unlink(missing_ok=True)

    def _sweep(self) -> None:
        limit = time.time() - _KEPT
        for path in self._folder.iterdir():
            with suppress(OSError):
                if path.stat().st_mtime < limit:
                    path.unlink()
