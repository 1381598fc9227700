"""Open the settings and the database for commands, without a server."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from flowrunner.errors import BadRequest

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from flowrunner.memory import Memory
    from flowrunner.plugins import PluginManager
    from flowrunner.settings.setting import Settings
    from flowrunner.store.keys import KeyStore
    from flowrunner.store.schema import DatabaseSchema


@dataclass(frozen=True, slots=True)
class Place:
    """Where the data of a runner is: its plugins, its settings and its open database."""

    plugins: PluginManager
    settings: Settings
    engine: Engine

    def schemas(self) -> list[DatabaseSchema]:
        """Return the schemas of the database: our own, and those of the memory backend and vector store with tables."""
        from flowrunner.plugins.selection import chosen_schemas
        from flowrunner.store.tables import SCHEMA

        return [SCHEMA, *chosen_schemas(self.plugins.registry, self.settings)]


@dataclass(frozen=True, slots=True)
class Where:
    """Where the data of a command is: ``--data-dir``, ``--database-url`` and, for conversations, ``--memory``."""

    data_dir: Path | None = None
    database_url: str | None = None
    memory: str | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What was given, as settings by name without prefix."""
        return {name.upper(): value for name in self.__slots__ if (value := getattr(self, name)) is not None}


#: Where a server without options has its data.
NOWHERE: Final = Where()


def as_one(command: Callable[..., Any], name: str, kind: Callable[..., Any], *options: str) -> Callable[..., Any]:
    """Return a command that gets several of its options as one object.

    :param name: the parameter of the command.
    :param kind: makes the object of the options, by keyword.
    """

    @functools.wraps(command)
    def gathered(*args: Any, **given: Any) -> Any:
        found = kind(**{option: given.pop(option) for option in options})
        return command(*args, **given, **{name: found})

    return gathered


def _place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--database-url", help="SQLAlchemy URL of the database, instead of a file there.")(command)
    return click.option("--data-dir", type=click.Path(path_type=Path), help="Folder of the server's data.")(command)


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--data-dir`` and ``--database-url``; the command gets them as :class:`Where`, called ``where``."""
    return _place_options(as_one(command, "where", Where, "data_dir", "database_url"))


def memory_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """As :func:`data_options`, and add ``--memory``."""
    command = _place_options(as_one(command, "where", Where, "data_dir", "database_url", "memory"))
    return click.option("--memory", help="Memory backend; default: FLOWRUNNER_MEMORY.")(command)


@contextmanager
def open_place(where: Where = NOWHERE, settings: Mapping[str, Any] | None = None) -> Iterator[Place]:
    """Open the database that a server with the same settings uses; the tables are left as they are.

    :param settings: further settings by name without prefix, which beat the environment.
    :raises FlowRunnerError: saying what must be changed.
    """
    from flowrunner.site.building import load_plugins
    from flowrunner.site.data_folder import make_data_folder, usual_data_folder
    from flowrunner.store.engine import close_database, database_engine
    from flowrunner.store.foreign_file import refuse_foreign_file

    plugins, found = load_plugins({}, overrides={**(settings or {}), **where.settings})
    if found.data_dir is None:
        found = found.with_values(data_dir=usual_data_folder())
    make_data_folder(found)
    try:
        engine = database_engine(None, found)
        refuse_foreign_file(engine, found)
        yield Place(plugins, found, engine)
    finally:
        close_database(None, found)


@contextmanager
def open_memory(where: Where = NOWHERE, settings: Mapping[str, Any] | None = None) -> Iterator[tuple[Memory, Place]]:
    """Open the conversations of a server with the same settings, with the plugins that wrap its memory.

    :param settings: as :func:`open_place`.
    :raises BadRequest: if the backend keeps nothing beyond the process.
    :raises FlowRunnerError: saying what must be changed.
    """
    with open_place(where, settings) as place:
        place.plugins.hand_out_settings(place.settings)
        memory = place.plugins.open_memory(None, place.settings)
        try:
            if not memory.backend.durable:
                raise BadRequest(
                    f"The memory backend {memory.name} keeps messages in the memory of the server process, so"
                    f" this command"
                    " cannot reach them."
                )
            yield memory, place
        finally:
            memory.close()


@contextmanager
def keys_in(place: Place) -> Iterator[KeyStore]:
    """Open the API keys of a place; a fresh database gets its tables."""
    from flowrunner.store.bounds import bound_of
    from flowrunner.store.keys import KeyStore
    from flowrunner.store.tables import SCHEMA

    SCHEMA.ensure(place.engine)
    keys = KeyStore(place.engine, place.settings.data_dir, each=bound_of(place.settings, "MAX_KEYS"))
    yield keys
    keys.close()


@contextmanager
def open_keys(where: Where = NOWHERE) -> Iterator[KeyStore]:
    """Open the API keys that a server with the same settings uses; a fresh database gets its tables.

    :raises FlowRunnerError: saying what must be changed.
    """
    with open_place(where) as place, keys_in(place) as keys:
        yield keys
