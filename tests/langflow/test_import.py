"""``flowrunner import langflow``: databases of several releases, PostgreSQL, and a running server."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import uuid

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine

from flowrunner import FlowRunnerError
from flowrunner.app import create_app, runner_of
from flowrunner.cli import cli
from flowrunner.identity import Identity
from flowrunner.langflow import importing
from flowrunner.memory import EVERY_OWNER
from flowrunner.store.keys import owner_of_user
from tests.langflow.databases import EXAMPLE, FLOW, GRAPH, SECRET_KEY, TALK, fernet, write_database
from tests.live_server import Server, make_key, serve_command

LANGFLOW = owner_of_user("langflow")
RELEASES = ("1.0.19", "1.1.0", "1.13.0")


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith(("FLOWRUNNER_", "LANGFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FLOWRUNNER_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def bring(place, *options, status=0):
    """Import and return the report."""
    done = CliRunner().invoke(cli, ["import", "langflow", str(place), "--json", *map(str, options)])
    if isinstance(done.exception, FlowRunnerError):
        raise done.exception
    assert done.exit_code == status, done.output
    return json.loads(done.stdout)


@pytest.fixture
def here(data):
    """Open the runner of what was imported."""
    opened = []

    def here():
        opened.append(runner_of(create_app(data_dir=data)))
        return opened[-1]

    yield here
    for runner in opened:
        runner.close()


@pytest.fixture(params=RELEASES)
def database(request, tmp_path):
    write_database(tmp_path / "langflow.db", request.param)
    return request.param, tmp_path / "langflow.db"


def test_flows_with_their_projects(database, here):
    _, place = database
    report = bring(place)
    assert report["flows"] == {"found": 2, "stored": 2, "present": 0, "refused": 0}
    assert report["projects"] == ["Support"]
    assert any("1 flows belong to no user" in note for note in report["notes"])
    stores = here().stores
    flow = stores.flows.get(FLOW, LANGFLOW)
    assert (flow.id, flow.name, flow.endpoint_name) == (str(uuid.UUID(FLOW)), "echo", "echo")
    assert flow.extra["project"] == "Support"
    assert flow.data == GRAPH
    assert "project" not in flow.to_json()
    assert [one.name for one in stores.flows.list(owner_of_user("second user"))] == ["echo"]
    assert str(uuid.UUID(EXAMPLE)) not in {one.id for one in stores.flows.list(EVERY_OWNER)}


def test_more_than_one_owner_may_have_is_left_out_and_said(database, monkeypatch):
    monkeypatch.setenv("FLOWRUNNER_MAX_FLOWS", "1")
    _, place = database
    report = bring(place, "--to", "ann", status=1)
    assert (report["flows"]["stored"], report["flows"]["refused"]) == (1, 1)
    assert any("One user may have at most 1 flows (FLOWRUNNER_MAX_FLOWS)" in fault for fault in report["faults"])
    # What was found is bounded by nothing; the same command goes on once there is room.
    monkeypatch.setenv("FLOWRUNNER_MAX_FLOWS", "2")
    assert bring(place, "--to", "ann")["flows"] == {"found": 2, "stored": 1, "present": 1, "refused": 0}


def test_messages_with_order_sessions_edits_and_errors(database, here):
    release, place = database
    report = bring(place)
    assert report["messages"] == {"found": 6, "stored": 6, "present": 0, "refused": 0}
    assert (report["sessions"], report["faults"]) == (3, [])
    memory = here().memory
    found = memory.for_owner(EVERY_OWNER).fetch()
    said = [(m.sender, m.session_id, m.text, m.flow_id) for m in found]
    assert said == [(sender, session, text, str(uuid.UUID(flow))) for sender, session, text, flow in TALK]
    assert found[0].id == str(uuid.UUID(int=10))
    assert found[0].timestamp.isoformat() == "2024-05-01T10:00:00.500000+00:00"
    assert found[2].files == ("x/a.png",)
    marks = [(m.edit, m.error, m.category) for m in found]
    plain = (False, False, "message")
    if release == "1.0.19":
        assert marks == [plain] * 6
    else:
        assert marks == [plain, plain, plain, (True, False, "message"), (False, True, "error"), plain]
        assert found[1].content_blocks == ({"title": "t", "contents": []},)
        assert found[0].properties["icon"] == "x"
    if release == "1.13.0":
        assert (found[0].context_id, found[0].run_id) == ("c1", str(uuid.UUID("7" * 32)))
        assert {m.owner for m in found} == {LANGFLOW}
    else:
        assert [m.owner for m in found[:3]] == [LANGFLOW, LANGFLOW, owner_of_user("second user")]
        assert any("1 messages belong to no user" in note for note in report["notes"])


def test_an_imported_conversation_goes_on(database, here):
    bring(database[1])
    runner = here()
    runner.run("echo", "and now", session_id="a/b ü%", identity=Identity(id=LANGFLOW))
    texts = [m.text for m in runner.memory.for_owner(LANGFLOW).fetch(session_id="a/b ü%")]
    assert texts == ["Hello", "Hello, you", "again", "and now", "and now"]


def test_what_is_here_is_passed_over_and_what_differs_is_named(database, here, data):
    bring(database[1])
    runner = here()
    [message] = runner.memory.for_owner(LANGFLOW).fetch(session_id="a/b ü%", text="again")
    from flowrunner import MessageChanges

    runner.memory.for_owner(LANGFLOW).update(MessageChanges(text="other"), ids=(message.id,))
    runner.stores.flows.update(FLOW, LANGFLOW, {"data": {"nodes": [], "edges": []}})
    report = bring(database[1])
    assert report["messages"] == {"found": 6, "stored": 0, "present": 6, "refused": 0}
    assert report["flows"]["present"] == 2
    assert report["keys"]["present"] == 1
    assert report["keys_made"] == []
    assert any("1 messages already exist here and differ" in note for note in report["notes"])
    assert any("The flow echo" in note and "differs" in note for note in report["notes"])
    assert runner.memory.for_owner(LANGFLOW).fetch(text="other")


def test_a_dry_run_stores_nothing(database, here):
    report = bring(database[1], "--dry-run")
    assert (report["messages"]["stored"], report["flows"]["stored"], report["keys_made"]) == (6, 2, [])
    runner = here()
    assert runner.memory.for_owner(EVERY_OWNER).fetch() == []
    assert runner.stores.flows.list(EVERY_OWNER) == runner.stores.keys.list() == []


def test_all_to_one_owner_makes_no_keys(database, here):
    report = bring(database[1], "--to", "local")
    assert "keys" not in report
    runner = here()
    assert {m.owner for m in runner.memory.for_owner(EVERY_OWNER).fetch()} == {"local"}
    # Two users had a flow of the same name.
    assert sorted(flow.name for flow in runner.stores.flows.list("local")) == ["echo", "echo (1)"]
    assert any("is called echo (1)" in note for note in report["notes"])


def test_keys_that_count_are_made_anew(database, here):
    report = bring(database[1])
    [made] = report["keys_made"]
    assert made["user"] == "langflow"
    assert here().stores.keys.identify(made["key"]).id == LANGFLOW


class TestVariables:
    @pytest.mark.parametrize(
        "secret_key, old", [(SECRET_KEY, False), (SECRET_KEY + "=", False), ("short", False), ("short", True)]
    )
    def test_values_are_read_with_the_key(self, database, here, tmp_path, secret_key, old):
        place = tmp_path / "other.db"
        write_database(place, database[0], cipher=fernet(secret_key, old=old))
        (tmp_path / "secret_key").write_text(secret_key + "\n")
        report = bring(place, "--secret-key-file", tmp_path / "secret_key")
        assert report["variables"] == {"found": 2, "stored": 2, "present": 0, "refused": 0}
        variables = here().stores.variables
        assert variables.find(LANGFLOW, "MODEL_KEY").value == "sk-of-langflow"
        assert variables.find(LANGFLOW, "GREETING").value == "good day"
        shown = {one.name: one for one in variables.list(LANGFLOW)}
        assert (shown["MODEL_KEY"].type, shown["MODEL_KEY"].value) == ("Credential", None)
        assert shown["MODEL_KEY"].default_fields == ("api_key",)

    def test_without_the_key_only_names_and_later_values(self, database, here, tmp_path, monkeypatch):
        report = bring(database[1])
        assert any("MODEL_KEY has no value here" in note for note in report["notes"])
        variables = here().stores.variables
        assert variables.find(LANGFLOW, "MODEL_KEY") is None or variables.find(LANGFLOW, "MODEL_KEY").value is None
        assert not next(one for one in variables.list(LANGFLOW) if one.name == "MODEL_KEY").has_value
        monkeypatch.setenv("LANGFLOW_SECRET_KEY", SECRET_KEY)
        bring(database[1])
        assert variables.find(LANGFLOW, "MODEL_KEY").value == "sk-of-langflow"

    def test_a_wrong_key_gives_names_only(self, database, here, monkeypatch):
        monkeypatch.setenv("LANGFLOW_SECRET_KEY", "another short one")
        assert any("MODEL_KEY has no value" in note for note in bring(database[1])["notes"])

    def test_a_key_that_is_none_is_refused(self, database, monkeypatch):
        monkeypatch.setenv("LANGFLOW_SECRET_KEY", "no base64, yet longer than thirty-two characters")
        with pytest.raises(FlowRunnerError, match="not a secret key of Langflow"):
            bring(database[1])


def test_an_import_that_broke_off_is_repeated(database, here, monkeypatch):
    monkeypatch.setattr(importing, "_BATCH", 2)
    pages = iter(range(100))
    real = importing.Importer._append

    def breaks(self, messages):
        if next(pages) == 1:
            raise KeyboardInterrupt
        real(self, messages)

    monkeypatch.setattr(importing.Importer, "_append", breaks)
    done = CliRunner().invoke(cli, ["import", "langflow", str(database[1])])
    assert done.exit_code == 130
    assert (
        "Interrupted after 2 of 6 messages. What was stored is kept; run the command again to continue." in done.stderr
    )
    report = bring(database[1])
    assert report["messages"] == {"found": 6, "stored": 4, "present": 2, "refused": 0}
    assert [m.text for m in here().memory.for_owner(EVERY_OWNER).fetch()] == [text for _, _, text, _ in TALK]


def test_a_store_that_gives_back_something_else_is_found_out(database, here, monkeypatch):
    real = importing.Importer._append

    def loses(self, messages):
        real(self, [m.replace(text="changed") if m.text == "again" else m for m in messages if m.text != "line\nline"])

    monkeypatch.setattr(importing.Importer, "_append", loses)
    report = bring(database[1], status=1)
    assert any("session 's2'" in fault or "'s2' the store gives" in fault for fault in report["faults"])
    assert any("'a/b ü%' differs" in fault for fault in report["faults"])


class TestOddDatabases:
    def test_a_release_without_a_table_of_messages(self, tmp_path, here):
        write_database(tmp_path / "langflow.db", "1.0.0")
        report = bring(tmp_path / "langflow.db")
        assert report["flows"]["stored"] == 2
        assert report["messages"]["found"] == 0
        assert any("monitor.duckdb" in note for note in report["notes"])

    def test_rows_that_lack_what_they_need(self, tmp_path, here):
        place = tmp_path / "langflow.db"
        write_database(place, "1.13.0")
        with sqlite3.connect(place) as connection:
            odd = (
                "INSERT INTO message (id, timestamp, sender, sender_name, session_id, text, files, properties, flow_id)"
            )
            connection.execute(
                f"{odd} VALUES ('{'a' * 32}', '2025-01-01', '', '', '', NULL, 'no json', '[]', '{FLOW}')"
            )
            connection.execute(
                f"{odd} VALUES ('{'b' * 32}', 'yesterday', 'User', 'User', 's', 'x', '[]', '{{}}', NULL)"
            )
            twice = json.dumps(json.dumps(["f/a.png"]))
            connection.execute(
                f"{odd} VALUES ('{'c' * 32}', '2025-01-02T00:00:00+02:00', 'U', 'U', 's', 'y', ?, '{{}}', NULL)",
                (twice,),
            )
        connection.close()
        report = bring(place)
        assert report["faults"] == []
        assert any("1 messages have no readable id or timestamp" in note for note in report["notes"])
        found = {m.id: m for m in here().memory.for_owner(LANGFLOW).fetch()}
        odd = found[str(uuid.UUID("a" * 32))]
        assert (odd.session_id, odd.sender, odd.text, odd.files) == (str(uuid.UUID(FLOW)), "Machine", "", ())
        late = found[str(uuid.UUID("c" * 32))]
        assert late.files == ("f/a.png",)
        assert late.timestamp.isoformat() == "2025-01-01T22:00:00+00:00"

    @pytest.mark.parametrize("content", [b"", b"no database" * 100, None, "tables of somebody else"])
    def test_what_is_no_database_of_langflow(self, tmp_path, content):
        place = tmp_path / "x y%20#?.db"
        if isinstance(content, str):
            with sqlite3.connect(place) as connection:
                connection.execute("CREATE TABLE flow (id TEXT)")
            connection.close()
        elif content is not None:
            place.write_bytes(content)
        with pytest.raises(FlowRunnerError, match=r"not a Langflow database|cannot be read|no file"):
            bring(place)

    def test_a_path_with_odd_characters(self, tmp_path):
        write_database(tmp_path / "langflow.db", "1.13.0")
        place = (tmp_path / "langflow.db").rename(tmp_path / "a b%20#?.db")
        assert bring(place)["messages"]["stored"] == 6

    def test_a_password_is_not_shown(self, tmp_path):
        with pytest.raises(FlowRunnerError) as refused:
            bring("postgresql://ann:hunter2@127.0.0.1:1/langflow")
        assert "hunter2" not in refused.value.message

    def test_the_database_is_not_changed(self, tmp_path):
        place = tmp_path / "langflow.db"
        write_database(place, "1.13.0")
        before = place.read_bytes()
        bring(place)
        assert place.read_bytes() == before
        assert [path.name for path in tmp_path.iterdir() if "langflow" in path.name] == ["langflow.db"]


def test_from_postgresql(postgres_server, here):
    postgres_server.execute("CREATE DATABASE langflow")
    engine = create_engine(postgres_server.url("langflow"))
    write_database(engine, "1.13.0")
    engine.dispose()
    report = bring(engine.url.render_as_string(hide_password=False))
    assert report["faults"] == []
    assert report["messages"]["stored"] == 6
    said = [(m.sender, m.session_id, m.text) for m in here().memory.for_owner(LANGFLOW).fetch()]
    assert said == [(sender, session, text) for sender, session, text, _ in TALK]


class TestFromAServer:
    @pytest.fixture
    def there(self, tmp_path):
        """A server that speaks the same API, with what somebody said there."""
        data = tmp_path / "there"
        key = make_key(data, user="langflow")
        runner = runner_of(create_app(data_dir=data))
        runner.stores.flows.create(LANGFLOW, {"name": "echo", "endpoint_name": "echo", "data": GRAPH, "id": FLOW})
        runner.stores.variables.create(LANGFLOW, "GREETING", "good day")
        runner.stores.variables.create(LANGFLOW, "MODEL_KEY", "sk-there", type="Credential")
        runner.stores.files.save(LANGFLOW, io.BytesIO(b"x"), name="a.png")
        for number in range(230):
            runner.run("echo", f"text {number}", session_id=f"s{number % 3}", identity=Identity(id=LANGFLOW))
        runner.close()
        server = Server(serve_command(data, flows=str(tmp_path))).wait_until_ready()
        yield server, key
        server.close()

    def test_everything_that_it_shows(self, there, here, monkeypatch, data):
        server, key = there
        with pytest.raises(FlowRunnerError, match="LANGFLOW_API_KEY"):
            bring(server.url)
        monkeypatch.setenv("LANGFLOW_API_KEY", key)
        report = bring(server.url, "--to", "local")
        assert report["faults"] == []
        assert report["messages"] == {"found": 460, "stored": 460, "present": 0, "refused": 0}
        assert report["flows"]["stored"] == 1
        assert any("does not show the values of 1 variables" in note for note in report["notes"])
        runner = here()
        texts = [m.text for m in runner.memory.for_owner("local").fetch()]
        assert texts == [f"text {number // 2}" for number in range(460)]
        assert runner.stores.variables.find("local", "GREETING").value == "good day"

    def test_what_is_no_server(self):
        with pytest.raises(FlowRunnerError, match="cannot be reached"):
            bring("http://127.0.0.1:1")
