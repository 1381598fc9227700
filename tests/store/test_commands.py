"""The commands that look after keys and the database."""

import dataclasses
import json
import re

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from flowrunner.cli import cli
from flowrunner.cli.context import Where, open_keys
from flowrunner.errors import BadRequest, NotFound, SchemaOutdated
from flowrunner.store.engine import close_database, database_engine, writing
from flowrunner.store.tables import SCHEMA
from tests.store.conftest import make_settings


@pytest.fixture
def flowrunner(tmp_path, monkeypatch):
    """Run a command on a data folder of the test's own."""
    monkeypatch.setenv("FLOWRUNNER_DATA_DIR", str(tmp_path / "data"))

    def run(*arguments):
        result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


class TestKeys:
    def test_a_key_is_printed_alone_and_once(self, flowrunner, tmp_path):
        key = flowrunner("keys", "create", "--user", "ann", "--name", "laptop", "--flow", "chat").rstrip("\n")
        with open_keys(Where(tmp_path / "data")) as keys:
            found = keys.identify(key)
        assert (found.name, found.flows, found.admin) == ("ann", frozenset({"chat"}), False)
        assert key not in flowrunner("keys", "list") and key not in flowrunner("keys", "list", "--json")

    def test_a_list_says_who_may_what(self, flowrunner):
        flowrunner("keys", "create", "--user", "ann", "--read-only", "--flow", "b", "--flow", "a")
        flowrunner("keys", "create", "--user", "root", "--admin", "--read-only")
        shown = flowrunner("keys", "list")
        assert re.search(r" ann +never +read-only; flows: a, b\n", shown) and re.search(
            r" root +never +admin; read-only\n", shown
        )
        limited, admin = json.loads(flowrunner("keys", "list", "--json"))
        assert (limited["user"], limited["admin"], limited["flows"]) == ("ann", False, ["a", "b"])
        assert (admin["user"], admin["admin"], admin["flows"]) == ("root", True, None)

    def test_an_admins_key_is_not_limited(self, flowrunner):
        with pytest.raises(BadRequest, match="cannot be limited to flows"):
            flowrunner("keys", "create", "--user", "ann", "--admin", "--flow", "a")

    def test_nothing_in_the_list_steers_the_terminal(self, flowrunner):
        flowrunner("keys", "create", "--user", "ann", "--flow", "e\x1b[1mvil\nforged line")
        shown = flowrunner("keys", "list")
        assert "\x1b" not in shown and len(shown.splitlines()) == 2 and "forged line" in shown

    def test_rotating_and_revoking(self, flowrunner, tmp_path):
        old = flowrunner("keys", "create", "--user", "ann").strip()
        key_id = json.loads(flowrunner("keys", "list", "--json"))[0]["id"]
        new = flowrunner("keys", "rotate", key_id).strip()
        with open_keys(Where(tmp_path / "data")) as keys:
            assert keys.identify(old) is None and keys.identify(new).name == "ann"
            flowrunner("keys", "revoke", key_id)
            assert keys.identify(new) is None
        with pytest.raises(NotFound):
            CliRunner().invoke(cli, ["keys", "revoke", key_id], catch_exceptions=False)

    def test_the_folder_can_be_named(self, flowrunner, tmp_path):
        flowrunner("keys", "create", "--user", "ann", "--data-dir", str(tmp_path / "other"))
        assert flowrunner("keys", "list") == ""
        assert "ann" in flowrunner("keys", "list", "--data-dir", str(tmp_path / "other"))
        url = f"sqlite:///{tmp_path / 'other' / 'flowrunner.db'}"
        assert "ann" in flowrunner("keys", "list", "--database-url", url)


class TestDatabase:
    def test_a_fresh_database_is_upgraded_to_the_newest(self, flowrunner):
        assert "flowrunner: no tables yet" in flowrunner("db", "current")
        assert flowrunner("db", "check").strip() == "the database is up to date"
        assert f"flowrunner: upgraded from nothing to {SCHEMA.head}" in flowrunner("db", "upgrade")
        assert "flowrunner: is at" in flowrunner("db", "upgrade")
        assert f"flowrunner: {SCHEMA.head} (newest)" in flowrunner("db", "current")

    def test_the_tables_of_the_memory_backend_and_the_vector_store_are_looked_after_too(self, flowrunner):
        said = flowrunner("db", "upgrade").splitlines()
        assert [line.partition(":")[0] for line in said] == ["flowrunner", "conversations", "vectors"]
        assert all("(newest)" in line for line in flowrunner("db", "current").splitlines())

    def test_an_older_or_newer_database_fails_the_check(self, flowrunner, tmp_path):
        settings = make_settings(tmp_path / "data")
        engine = database_engine(None, settings)
        dataclasses.replace(SCHEMA, head="0099").ensure(engine)
        result = CliRunner().invoke(cli, ["db", "check"])
        assert result.exit_code == 1 and "newer version" in result.output
        with pytest.raises(SchemaOutdated):
            CliRunner().invoke(cli, ["db", "upgrade"], catch_exceptions=False)
        with writing(engine) as connection:
            connection.execute(text(f"UPDATE flowrunner_version SET version_num = '{SCHEMA.head}'"))
        assert "up to date" in flowrunner("db", "check")
        close_database(None, settings)
