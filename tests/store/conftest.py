"""A database for each test: SQLite always, PostgreSQL where a server can be had."""

import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest

from flowrunner.settings import SETTINGS, read_settings
from flowrunner.store.engine import close_database, database_engine
from flowrunner.store.tables import SCHEMA

#: What leaves our tables as they were made. It waits for no lock that a test has left behind.
_EMPTY = "; ".join(
    [
        "SET lock_timeout = '30s'",
        *(f"DELETE FROM {table.name}" for table in reversed(SCHEMA.metadata.sorted_tables)),
        *(
            f"ALTER SEQUENCE {table.name}_{column.name}_seq RESTART"
            for table in SCHEMA.metadata.sorted_tables
            for column in table.columns
            if column.autoincrement is True
        ),
    ]
)


def make_settings(folder, **values):
    config = {f"FLOWRUNNER_{name}": value for name, value in {"DATA_DIR": folder, **values}.items()}
    return read_settings(SETTINGS, config=config, environ={})


@pytest.fixture
def settings(tmp_path):
    return make_settings(tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_engine(request, tmp_path):
    """An engine on an empty database."""
    values = {}
    if request.param == "postgresql":
        server, name = request.getfixturevalue("postgres_server"), f"store_{uuid.uuid4().hex}"
        server.execute(f"CREATE DATABASE {name}")
        values["DATABASE_URL"] = address(server, name)
    with opened(tmp_path, **values) as engine:
        yield engine


@pytest.fixture
def own_engine(bare_engine):
    """An engine on a database with our tables, which the test may change as it likes."""
    SCHEMA.ensure(bare_engine)
    return bare_engine


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, tmp_path):
    """An engine on a database with our tables and no row in them."""
    if request.param == "sqlite":
        with opened(tmp_path) as engine:
            SCHEMA.ensure(engine)
            yield engine
        return
    server, name = request.getfixturevalue("postgres_server"), request.getfixturevalue("database_with_tables")
    with opened(tmp_path, DATABASE_URL=address(server, name)) as engine:
        yield engine
    server.execute(_EMPTY, database=name)


@pytest.fixture(scope="session")
def database_with_tables(postgres_server, tmp_path_factory):
    """The name of a PostgreSQL database with our tables: a new one takes a hundred times as long as emptying these."""
    postgres_server.execute("CREATE DATABASE store")
    with opened(tmp_path_factory.mktemp("store"), DATABASE_URL=address(postgres_server, "store")) as engine:
        SCHEMA.ensure(engine)
    return "store"


def address(server, name):
    """Return the address of a database of a server, as a setting has it."""
    return server.url(name).render_as_string(hide_password=False)


@contextmanager
def opened(folder, **values):
    """Open an engine with these settings."""
    made = make_settings(folder, **values)
    yield database_engine(None, made)
    close_database(None, made)


@pytest.fixture
def run_python():
    """Run some Python in processes of its own, all at once, and return what each printed."""

    def run(code, *arguments, times=1):
        root = Path(__file__).resolve().parents[2]
        command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
        started = [
            subprocess.Popen(command, cwd=root, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(times)
        ]
        printed = []
        for process in started:
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
            printed.append(out.strip())
        return printed

    return run
