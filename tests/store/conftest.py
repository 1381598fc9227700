"""A database for each test: SQLite always, PostgreSQL where a server can be had."""

import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from flowrunner.settings import SETTINGS, read_settings
from flowrunner.store.engine import close_database, database_engine
from flowrunner.store.tables import SCHEMA


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
        values["DATABASE_URL"] = server.url(name).render_as_string(hide_password=False)
    made = make_settings(tmp_path, **values)
    yield database_engine(None, made)
    close_database(None, made)


@pytest.fixture
def engine(bare_engine):
    """An engine on a database with our tables."""
    SCHEMA.ensure(bare_engine)
    return bare_engine


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
