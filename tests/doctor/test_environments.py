"""Broken installations, each with the one finding that names what is wrong; an installation in order has none."""

import json
import os
import shutil
import sqlite3
import sys
from collections import namedtuple
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from flowrunner.app import create_app, runner_of
from flowrunner.cli import cli
from flowrunner.doctor import CODES, examine, folder, machine
from flowrunner.identity import LOCAL_IDENTITY
from flowrunner.site import data_folder

ROOT = Path(__file__).resolve().parents[2]
ECHO = {
    "name": "Echo",
    "components": {"in": {"type": "ChatInput"}, "out": {"type": "ChatOutput"}},
    "edges": ["in.message -> out.input_value"],
}
FLOWS = {
    "unreadable": "{",
    "unknown": json.dumps(
        {**ECHO, "name": "Unknown", "components": {**ECHO["components"], "out": {"type": "NobodysComponent"}}}
    ),
    "islands": json.dumps(
        {**ECHO, "name": "Islands", "components": {**ECHO["components"], "more": {"type": "Prompt Template"}}}
    ),
    "model": json.dumps(
        {
            "name": "Model",
            "components": {
                "in": {"type": "ChatInput"},
                "model": {
                    "type": "LanguageModelComponent",
                    "settings": {"provider": "OpenAI", "model_name": "m", "api_key": {"$variable": "OPENAI_API_KEY"}},
                },
                "out": {"type": "ChatOutput"},
            },
            "edges": ["in.message -> model.input_value", "model.text_output -> out.input_value"],
        }
    ),
}
BROKEN_PLUGIN = "raise RuntimeError('not today')\n"


def place_in(root, patch):
    """Have the settings name a data folder and a folder with a flow; return both."""
    for name in [name for name in os.environ if name.startswith("FLOWRUNNER_")]:
        patch.delenv(name)
    data, flows = root / "data", root / "flows"
    flows.mkdir()
    (flows / "echo.json").write_text(json.dumps(ECHO), "utf-8")
    patch.setenv("FLOWRUNNER_DATA_DIR", str(data))
    patch.setenv("FLOWRUNNER_FLOWS_DIR", str(flows))
    # What the machine of the tests brings along is not what is tried here.
    patch.setattr(data_folder, "_TEMPORARY", ())
    # Only this module sees another folder: the fork server, which may start in such a test, needs the real one.
    patch.setattr(data_folder, "tempfile", SimpleNamespace(gettempdir=lambda: "/not/there"))
    patch.setattr(machine.sqlite3, "sqlite_version_info", (3, 51, 3))
    patch.setattr(folder, "find_older_places", lambda current: [])
    return data, flows


@pytest.fixture(scope="module")
def used_data(tmp_path_factory):
    """A data folder with a database, a secret and a run, to be copied: making one takes longer than looking at it."""
    with pytest.MonkeyPatch.context() as patch:
        data, _ = place_in(tmp_path_factory.mktemp("used"), patch)
        app = create_app(auth="none")
        runner = runner_of(app)
        runner.open()
        runner.stores.variables.create(LOCAL_IDENTITY.id, "SECRET", "something-secret", type="Credential")
        assert app.test_client().post("/api/v1/run/echo", json={"input_value": "hello"}).status_code == 200
        runner.close()
    return data


@pytest.fixture
def installation(tmp_path, monkeypatch, used_data):
    """An installation in order: a data folder with a database, a secret, a run and a flow."""
    data, flows = place_in(tmp_path, monkeypatch)
    shutil.copytree(used_data, data)
    return namedtuple("Installation", "data flows tmp setenv setattr")(
        data, flows, tmp_path, monkeypatch.setenv, monkeypatch.setattr
    )


def say(statement, *values):
    def change(place):
        with closing(sqlite3.connect(place.data / "flowrunner.db")) as connection, connection:
            connection.execute(statement, values)

    return change


def setting(name, value, **more):
    def change(place):
        for key, text in {name: value, **more}.items():
            place.setenv(key, text.format(tmp=place.tmp))

    return change


def flow(name):
    return lambda place: (place.flows / f"{name}.json").write_text(FLOWS[name], "utf-8")


def in_environment(place):
    (place.tmp / "pyvenv.cfg").touch()


def in_temporary_folder(place):
    place.setattr(data_folder, "tempfile", SimpleNamespace(gettempdir=lambda: str(place.tmp)))


def elsewhere(place):
    place.setattr(sys, "prefix", str(place.tmp / "env"))
    old = place.tmp / "env" / "var" / "flowrunner-instance"
    shutil.copytree(place.data, old)
    from flowrunner.site.older_data import find_older_places

    place.setattr(folder, "find_older_places", find_older_places)


def full_disk(free):
    usage = namedtuple("usage", "total used free")
    return lambda place: place.setattr(folder.shutil, "disk_usage", lambda path: usage(10**12, 0, free))


def on_network(kind):
    def change(place):
        mounts = place.tmp / "mounts"
        mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/home {place.tmp} {kind} rw 0 0\n", "utf-8")
        original = folder.file_system_of
        place.setattr(folder, "file_system_of", lambda path: original(path, mounts))

    return change


def random_bytes(place):
    file = place.data / "flowrunner.db"
    for name in ("flowrunner.db-wal", "flowrunner.db-shm"):
        (place.data / name).unlink(missing_ok=True)
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.seek(4096)
        opened.write(bytes(index * 7 % 251 for index in range(size - 8192)))


def in_place_of_the_database(make):
    def change(place):
        for name in ("flowrunner.db", "flowrunner.db-wal", "flowrunner.db-shm"):
            (place.data / name).unlink(missing_ok=True)
        make(place.data / "flowrunner.db")

    return change


def users(file):
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE users (id)")
    file.chmod(0o600)


def without_a_home(place):
    place.setenv("FLOWRUNNER_DATA_DIR", "")
    place.setattr(data_folder, "_can_be_made", lambda folder: False)
    place.setattr(data_folder, "SERVICE_FOLDER", place.tmp / "none")


def without_package(name):
    def change(place):
        import importlib.util

        original = importlib.util.find_spec
        place.setattr(importlib.util, "find_spec", lambda package, *a: None if package == name else original(package))

    return change


def both(*changes):
    def change(place):
        for one in changes:
            one(place)

    return change


def broken_plugin(place):
    (place.tmp / "plugins").mkdir()
    (place.tmp / "plugins" / "mine.py").write_text(BROKEN_PLUGIN, "utf-8")
    place.setenv("FLOWRUNNER_PLUGINS_DIR", str(place.tmp / "plugins"))


def few_files(place):
    import resource

    place.setattr(resource, "getrlimit", lambda which: (256, 256))


OTHERS = {"FLOWRUNNER_BIND": "0.0.0.0:7860", "FLOWRUNNER_TRUSTED_HOSTS": "bot.example.org"}
WITH_KEY = say(
    "INSERT INTO flowrunner_api_keys (id, digest, hint, owner, user_name, name, admin, read_only, created_at)"
    " VALUES ('1', 'x', 'x', 'x', 'ann', 'x', 0, 0, '2026-01-01T00:00:00.000000+00:00')"
)

ENVIRONMENTS = [
    ("setting-invalid", setting("FLOWRUNNER_TURNS", "sometimes")),
    ("setting-invalid", setting("FLOWRUNNER_FLOWS_DIR", "/not/there")),
    ("setting-unknown", setting("FLOWRUNNER_MEMORYY", "sqlite")),
    ("setting-invalid", setting("FLOWRUNNER_DATABASE_URL", "what is this")),
    ("extra-missing", setting("FLOWRUNNER_DATABASE_URL", "mysql+mysqlconnector://me@127.0.0.1/db")),
    ("plugin-failed", broken_plugin),
    ("memory-unknown", setting("FLOWRUNNER_MEMORY", "redis")),
    ("memory-unknown", setting("FLOWRUNNER_VECTOR_STORE", "chroma")),
    ("extra-missing", both(setting("FLOWRUNNER_METRICS", "1"), without_package("prometheus_client"))),
    ("extra-missing", both(setting("FLOWRUNNER_TRACING", "1"), without_package("opentelemetry"))),
    ("flow-needs-extra", both(flow("model"), setting("OPENAI_API_KEY", "sk-1"), without_package("openai"))),
    ("data-folder", setting("FLOWRUNNER_DATA_DIR", "/dev/null/data")),
    ("data-folder", without_a_home),
    ("data-in-environment", in_environment),
    ("data-in-temporary-folder", in_temporary_folder),
    ("data-elsewhere", elsewhere),
    ("data-open-to-others", lambda place: place.data.chmod(0o755)),
    ("data-of-another-user", lambda place: place.setattr(os, "geteuid", lambda: os.getuid() + 1)),
    ("disk-full", full_disk(1_000_000)),
    ("disk-full", full_disk(100_000_000)),
    ("sqlite-defect", lambda place: place.setattr(machine.sqlite3, "sqlite_version_info", (3, 50, 4))),
    ("sqlite-on-network", on_network("nfs4")),
    ("sqlite-on-network", on_network("cifs")),
    ("database-unreachable", setting("FLOWRUNNER_DATABASE_URL", "postgresql://me:hidden@127.0.0.1:1/none")),
    ("database-damaged", random_bytes),
    ("database-damaged", lambda place: (place.data / "flowrunner.db").write_bytes(b"not a database" * 500)),
    ("database-foreign", in_place_of_the_database(lambda file: file.mkdir(mode=0o700))),
    ("database-foreign", in_place_of_the_database(users)),
    ("database-outdated", say("UPDATE flowrunner_version SET version_num = '0001'")),
    ("database-newer", say("UPDATE flowrunner_version SET version_num = '9999'")),
    ("secret-key-other", setting("FLOWRUNNER_SECRET_KEY", "another key, long enough to be one")),
    ("secret-key-missing", lambda place: (place.data / "secret.key").unlink()),
    ("secret-key-missing", lambda place: (place.data / "secret.key").write_text("no key")),
    ("no-keys", setting("FLOWRUNNER_AUTH", "key")),
    ("no-keys", setting("FLOWRUNNER_BIND", "0.0.0.0:7860", FLOWRUNNER_TRUSTED_HOSTS="bot.example.org")),
    ("open-to-others", setting("FLOWRUNNER_AUTH", "none", **OTHERS)),
    ("hosts-unchecked", both(WITH_KEY, setting("FLOWRUNNER_BIND", "0.0.0.0:7860"))),
    ("origins-unchecked", setting("FLOWRUNNER_CORS_ORIGINS", "*")),
    ("key-in-address", setting("FLOWRUNNER_KEY_IN_QUERY", "yes")),
    ("private-addresses-open", both(WITH_KEY, setting("FLOWRUNNER_ALLOW_PRIVATE_ADDRESSES", "all", **OTHERS))),
    ("proxy-unchecked", setting("FORWARDED_ALLOW_IPS", "*")),
    ("memory-per-process", setting("FLOWRUNNER_MEMORY", "in-memory", FLOWRUNNER_WORKERS="2")),
    ("memory-per-process", setting("FLOWRUNNER_MEMORY", "in-memory", WEB_CONCURRENCY="3")),
    ("limits-per-process", setting("FLOWRUNNER_MAX_RUNS_PER_USER", "4", FLOWRUNNER_WORKERS="2")),
    (
        "limits-per-process",
        setting("FLOWRUNNER_LIMITS_STORE", "memory", FLOWRUNNER_RATE_PER_KEY="9/hour", FLOWRUNNER_WORKERS="2"),
    ),
    ("too-few-files", few_files),
    ("clock-wrong", say("UPDATE flowrunner_runs SET accepted_at = '2999-01-01T00:00:00.000000+00:00'")),
    ("time-zones-missing", lambda place: place.setattr(machine.zoneinfo, "available_timezones", set)),
    ("flow-unreadable", flow("unreadable")),
    ("flow-cannot-run", flow("unknown")),
    ("flow-with-warnings", flow("islands")),
    ("variable-missing", flow("model")),
    ("retention-never-runs", setting("FLOWRUNNER_MEMORY_RETENTION", "age=7d")),
]


def test_an_installation_in_order_has_no_findings(installation):
    assert examine() == []
    done = CliRunner().invoke(cli, ["doctor"])
    assert (done.exit_code, done.output) == (0, "No problems found.\n")


def test_a_place_without_data_yet_is_in_order(installation):
    installation.setenv("FLOWRUNNER_DATA_DIR", str(installation.tmp / "new"))
    assert examine() == []
    assert not (installation.tmp / "new").exists()


@pytest.mark.parametrize(
    ("code", "change"), ENVIRONMENTS, ids=[f"{code}-{number}" for number, (code, _) in enumerate(ENVIRONMENTS)]
)
def test_what_is_wrong_is_found_and_nothing_else(installation, code, change):
    installation.setenv("OPENAI_API_KEY", "")
    change(installation)
    found = examine()
    assert [finding.code for finding in found] == [code]
    assert found[0].message.endswith((".", "?")) and found[0].remedy
    assert "hidden" not in str(found[0]) and "something-secret" not in str(found[0])


def test_a_weak_key_is_found_beside_what_it_does_not_open(installation):
    installation.setenv("FLOWRUNNER_SECRET_KEY", "abc")
    assert {finding.code for finding in examine()} == {"secret-key-other", "secret-key-weak"}


def test_every_code_but_those_of_postgresql_is_tried():
    tried = {code for code, _ in ENVIRONMENTS} | {"secret-key-weak"}
    assert set(CODES) - tried == {"database-connections", "database-encoding", "database-rights"}


def test_a_postgresql_without_unicode_and_with_few_connections(installation, postgres_server):
    from sqlalchemy import create_engine

    engine = create_engine(postgres_server.url(), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "CREATE DATABASE doctor_latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    engine.dispose()
    url = postgres_server.url("doctor_latin").render_as_string(hide_password=False)
    installation.setenv("FLOWRUNNER_DATABASE_URL", url)
    installation.setenv("FLOWRUNNER_WORKERS", "8")
    assert [finding.code for finding in examine()] == ["database-encoding", "database-connections"]


def test_the_command_says_all_and_ends_with_status_1_for_an_error(installation):
    installation.setenv("FLOWRUNNER_KEY_IN_QUERY", "yes")
    done = CliRunner().invoke(cli, ["doctor"])
    assert done.exit_code == 0 and "[key-in-address]" in done.output and "1 warning." in done.output
    installation.setenv("FLOWRUNNER_MEMORY", "redis")
    done = CliRunner().invoke(cli, ["doctor", "--json"])
    assert done.exit_code == 1
    assert [entry["code"] for entry in json.loads(done.output)] == ["memory-unknown", "key-in-address"]


def test_looking_changes_nothing(installation):
    def state():
        return {path: path.read_bytes() for path in installation.data.rglob("*") if path.is_file()}

    before = {path: content for path, content in state().items() if path.suffix not in (".db-shm", ".db-wal")}
    examine()
    after = {path: content for path, content in state().items() if path in before}
    assert after == before


@pytest.mark.parametrize(
    ("version", "has_it"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 0), False),
    ],
)
def test_which_sqlite_has_the_defect(version, has_it):
    assert machine.has_reset_defect(version) is has_it


def test_what_is_serious_is_said_when_gunicorn_starts(installation, start_server):
    command = ["gunicorn", "-c", "python:flowrunner.serving", "-b", "127.0.0.1:0", "wsgi:app"]
    environment = {"FLOWRUNNER_DATA_DIR": str(installation.data), "FLOWRUNNER_MEMORY": "in-memory"}
    # Nobody says how many processes there are: with our configuration gunicorn has two.
    server = start_server(command, environment=environment, forked=True)
    assert "FLOWRUNNER_MEMORY is in-memory with 2 processes" in server.output
    assert "[memory-per-process]" in server.output
