"""What lies where the SQLite file of the app's own data belongs, though it is none of ours."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from flowrunner.errors import SettingsInvalid

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from flowrunner.settings.setting import Settings

_PREFIX: Final = "flowrunner_"
_SECONDS: Final = 5.0
#: The message of ``SQLITE_NOTADB``, whose number Python 3.10 does not tell.
_NOTADB: Final = "file is not a database"
#: The length of SQLite's header; SQLite takes a file of one byte for an empty one.
_SHORTEST: Final = 100


class ForeignFile(NamedTuple):
    """``what`` says what a file is, as the end of a sentence; ``damaged`` that it may have been ours."""

    what: str
    damaged: bool = False

    def remedy(self, prefix: str, *, named: bool) -> str:
        """Return what to do.

        :param prefix: of the settings.
        :param named: whether a setting names the file, and not only its folder.
        """
        other = "name another file" if named else f"name another file with {prefix}DATABASE_URL"
        # Only an empty place takes a backup, so the file must be moved away for that, too.
        hope = "; if it was flowrunner's, move it away and restore a backup (flowrunner restore)" * self.damaged
        return f"move it away or {other}{hope}"


_NO_DATABASE: Final = ForeignFile("is not a SQLite database", damaged=True)


def find_foreign(file: Path) -> ForeignFile | None:
    """Return what a file is if flowrunner cannot keep its data there; None if it can, and where that cannot be told.

    A file that is missing or empty is one that it can use. Nothing is written.
    """
    try:
        found = os.stat(file)  # noqa: PTH116 - a third of the time of Path.stat, with every start
    except FileNotFoundError:
        return _dead_link(file)
    except NotADirectoryError:
        return ForeignFile("lies below a file, not a folder")
    except PermissionError:
        return ForeignFile("cannot be reached by this user")
    except OSError as error:
        return ForeignFile(f"cannot be opened ({error.strerror})")
    if stat.S_ISDIR(found.st_mode):
        return ForeignFile("is a folder")
    if not stat.S_ISREG(found.st_mode):
        return ForeignFile("is not a regular file")
    if 0 < found.st_size < _SHORTEST:
        return _NO_DATABASE
    return _look_into(file) if found.st_size else None


def _dead_link(file: Path) -> ForeignFile | None:
    if not file.is_symlink():
        return None
    target = Path(os.path.realpath(file))
    return None if target.parent.is_dir() else ForeignFile(f"is a link to {target}, whose folder is missing")


def _look_into(file: Path) -> ForeignFile | None:
    # Only SQLite opens the file: closing it takes away the locks of all that this process has on it, also those of
    # the connections of another runner, and SQLite alone knows of these.
    if not os.access(file, os.R_OK):
        return ForeignFile("cannot be read by this user")
    asked = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name"
    # Without a log beside it, the file has all there is; a connection that may lock would leave a log of its own.
    how = "mode=ro" if os.path.exists(f"{os.path.realpath(file)}-wal") else "mode=ro&immutable=1"  # noqa: PTH110
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?{how}", uri=True, timeout=_SECONDS)) as connection:
            names = [str(row[0]) for row in connection.execute(asked)]
    except sqlite3.Error as error:
        # Busy or damaged: whoever opens it next says so in other words.
        return _NO_DATABASE if _NOTADB in str(error) else None
    if not names or any(name.startswith(_PREFIX) for name in names):
        return None
    return ForeignFile(f"is the database of another program (its first table is {names[0][:60]!r})")


def refuse_foreign_file(engine: Engine, settings: Settings) -> None:
    """Refuse what lies where the SQLite file of an engine belongs, before anything is written to it.

    :raises SettingsInvalid: saying what it is.
    """
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return
    file = Path(engine.url.database)
    foreign = find_foreign(file)
    if foreign is not None:
        named = bool(settings.database_url)
        name = f"{settings.prefix}{'DATABASE_URL' if named else 'DATA_DIR'}"
        remedy = foreign.remedy(settings.prefix, named=named)
        raise SettingsInvalid(f"{name}: the database file {file} {foreign.what}; {remedy}.")
