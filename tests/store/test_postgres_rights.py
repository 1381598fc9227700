"""A role that could not write everything is refused at start-up by name, and the doctor finds it."""

from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from flowrunner.app import create_app, runner_of
from flowrunner.cli import cli
from flowrunner.doctor import examine
from flowrunner.errors import SettingsInvalid

GRANT = ("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clerk",)
SEQUENCES = "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO clerk"

LACKING = {
    "select only": (
        ("GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk", SEQUENCES),
        "the role clerk lacks DELETE on flowrunner_answers and",
    ),
    "no insert into runs": (
        (*GRANT, SEQUENCES, "REVOKE INSERT ON flowrunner_runs FROM clerk"),
        "the role clerk lacks INSERT on flowrunner_runs.",
    ),
    "no select of keys": (
        (*GRANT, SEQUENCES, "REVOKE SELECT ON flowrunner_api_keys FROM clerk"),
        "the role clerk lacks SELECT on flowrunner_api_keys.",
    ),
    "no numbers": (
        (*GRANT, "REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM clerk"),
        "the role clerk lacks USAGE on flowrunner_",
    ),
    "no update of messages": (
        (*GRANT, SEQUENCES, "REVOKE UPDATE ON flowrunner_messages FROM clerk"),
        "the role clerk lacks UPDATE on flowrunner_messages.",
    ),
    "no delete of sessions": (
        (*GRANT, SEQUENCES, "REVOKE DELETE ON flowrunner_sessions FROM clerk"),
        "the role clerk lacks DELETE on flowrunner_sessions.",
    ),
}


@pytest.fixture(scope="module")
def database(postgres_server, tmp_path_factory):
    """A database with our tables, and a role that has no part in them."""
    folder = tmp_path_factory.mktemp("rights")
    postgres_server.execute("CREATE DATABASE rights", "CREATE ROLE clerk LOGIN")
    owner = postgres_server.url("rights").render_as_string(hide_password=False)
    runner = runner_of(create_app(data_dir=folder, database_url=owner))
    runner.open()
    runner.close()
    folder.chmod(0o700)
    yield SimpleNamespace(
        folder=folder,
        url=postgres_server.url("rights", "clerk").render_as_string(hide_password=False),
        execute=lambda *statements: postgres_server.execute(*statements, database="rights"),
    )
    postgres_server.execute("DROP OWNED BY clerk", database="rights")
    postgres_server.execute("DROP DATABASE rights WITH (FORCE)", "DROP ROLE clerk")


@pytest.fixture
def start(database):
    """Return what starts a server as the role, after some statements of the owner."""

    def start(*statements):
        database.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM clerk", *statements)
        runner = runner_of(create_app(data_dir=database.folder, database_url=database.url))
        try:
            runner.open()
        finally:
            runner.close()

    return start


@pytest.mark.parametrize(("statements", "said"), LACKING.values(), ids=LACKING)
def test_a_role_that_lacks_a_right_is_refused_by_name(database, start, monkeypatch, statements, said):
    with pytest.raises(SettingsInvalid) as refused:
        start(*statements)
    assert said.rstrip(".") in refused.value.message
    monkeypatch.setenv("FLOWRUNNER_DATA_DIR", str(database.folder))
    monkeypatch.setenv("FLOWRUNNER_DATABASE_URL", database.url)
    (found,) = [one for one in examine() if one.code == "database-rights"]
    assert said in found.message and "FLOWRUNNER_DATABASE_URL" in found.message


@pytest.mark.parametrize("numbers", ["USAGE", "UPDATE"])
def test_one_with_all_rights_starts(start, database, monkeypatch, numbers):
    """PostgreSQL hands out the numbers of a sequence for either privilege."""
    revoked = "REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM clerk"
    versions = "GRANT SELECT ON flowrunner_version, flowrunner_memory_version TO clerk"
    start(*GRANT, revoked, SEQUENCES.replace("USAGE", numbers), versions)
    monkeypatch.setenv("FLOWRUNNER_DATA_DIR", str(database.folder))
    monkeypatch.setenv("FLOWRUNNER_DATABASE_URL", database.url)
    assert not [one for one in examine() if one.code.startswith("database")]
    app = create_app(data_dir=database.folder, database_url=database.url, auth="none", flows_dir="examples/flows")
    assert app.test_client().post("/api/v1/run/basic-chat", json={"input_value": "hi"}).status_code == 200
    runner_of(app).close()


@pytest.mark.parametrize(
    "command",
    [["runs"], ["messages"], ["sessions"], ["keys", "list"], ["memory", "export"], ["backup"], ["db", "check"]],
    ids=" ".join,
)
def test_a_role_that_may_only_read_may_use_the_commands_that_only_read(database, tmp_path, command):
    database.execute(
        "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM clerk",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk",
        # What pg_dump reads.
        "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO clerk",
    )
    place = [str(tmp_path / "backup")] if command == ["backup"] else []
    options = ["--data-dir", str(database.folder), "--database-url", database.url]
    ran = CliRunner().invoke(cli, [*command, *place, *options])
    assert ran.exit_code == 0, ran.output
