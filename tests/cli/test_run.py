"""``flowrunner run``: a flow from the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from flowrunner import FlowRunnerError, RequestInvalid
from flowrunner.app import create_app, runner_of
from flowrunner.cli import cli
from flowrunner.cli.run import read_tweaks
from flowrunner.identity import LOCAL_IDENTITY
from tests.live_server import ROOT

FLOWS = ROOT / "examples" / "flows"
ECHO = str(FLOWS / "basic-chat.json")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Call a command in a data folder of its own and return what it printed."""
    monkeypatch.setenv("FLOWRUNNER_DATA_DIR", str(tmp_path / "data"))

    def run(*arguments, status=0):
        done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        if isinstance(done.exception, FlowRunnerError):
            raise done.exception
        assert done.exit_code == status, done.output
        return done.stdout

    return run


def _stored(tmp_path, session_id):
    runner = runner_of(create_app(data_dir=tmp_path / "data"))
    try:
        return [m.text for m in runner.memory_of(LOCAL_IDENTITY).fetch(session_id=session_id)]
    finally:
        runner.close()


def test_it_prints_what_the_flow_says_and_stores_it(run, tmp_path):
    assert run("run", ECHO, "Hello 🦜", "--session-id", "a/b") == "Hello 🦜\n"
    assert _stored(tmp_path, "a/b") == ["Hello 🦜", "Hello 🦜"]


def test_a_flow_is_named_by_endpoint_name_or_id_too(run):
    assert run("run", "basic-chat", "x", "--flows-dir", FLOWS) == "x\n"
    answer = json.loads(run("run", "basic-chat", "x", "--flows-dir", FLOWS, "--json"))
    assert run("run", answer["session_id"].upper(), "y", "--flows-dir", FLOWS) == "y\n"


def test_the_whole_answer_is_that_of_http(run):
    answer = json.loads(run("run", ECHO, "Hello", "--session-id", "s", "--json"))
    assert answer["session"] == {"id": "s", "source": "payload", "component": None}
    assert answer["outputs"][0]["inputs"] == {"input_value": "Hello"}
    assert answer["outputs"][0]["outputs"][0]["outputs"] == {"message": {"message": "Hello", "type": "text"}}


def test_without_a_text_nothing_is_injected(run):
    assert json.loads(run("run", ECHO, "--json"))["outputs"][0]["inputs"] == {}


def test_tweaks(run):
    answer = json.loads(
        run("run", ECHO, "x", "--tweak", "answer.sender_name=Echo", "--tweak", "sender=Other", "--json")
    )
    (said,) = answer["outputs"][0]["outputs"][0]["messages"]
    assert (said["sender_name"], said["sender"]) == ("Echo", "Other")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (("a.b=c",), {"a": {"b": "c"}}),
        (("a.b=1", "a.c=true", "d=null"), {"a": {"b": 1, "c": True}, "d": None}),
        (("a.b.c=x",), {"a.b": {"c": "x"}}),
        (('a.b={"value": [1]}',), {"a": {"b": {"value": [1]}}}),
        (("a.b=",), {"a": {"b": ""}}),
        (("a.b=x=y",), {"a": {"b": "x=y"}}),
        (("a b.c=007",), {"a b": {"c": "007"}}),
    ],
)
def test_how_tweaks_are_written(written, meant):
    assert read_tweaks(written) == meant


@pytest.mark.parametrize("written", ["a.b", "=x", ""])
def test_a_tweak_that_is_none(written):
    with pytest.raises(RequestInvalid, match=r"use COMPONENT\.FIELD=VALUE"):
        read_tweaks((written,))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nothing", "x"), "flow_not_found"),
        (("basic-chat", "x"), "flow_not_found"),
        ((ECHO, "x", "--tweak", "answer.code=x"), "TWEAKS_REFUSED"),
        ((ECHO, "x", "--tweak", "nonsense"), "request_invalid"),
        ((ECHO, "x", "--memory", "nothing"), "plugin_failed"),
    ],
)
def test_what_cannot_be_done_has_its_code(run, arguments, code):
    with pytest.raises(FlowRunnerError) as raised:
        run("run", *arguments)
    assert raised.value.code == code


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"flows": []}', "\x00", '{"components": 5}'])
def test_a_file_that_is_no_flow(run, tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    for command in (("run", tmp_path / "x.json", "hi"), ("explain", tmp_path / "x.json")):
        with pytest.raises(FlowRunnerError) as raised:
            run(*command)
        assert raised.value.code == "flow_invalid"


def test_exactly_the_flow_of_the_file_is_run(run, tmp_path):
    """Two copies with one id in a folder: the file that was named counts."""
    flow = {
        "id": "0b8f4b5e-6a58-4c2e-9f0a-3d6f0f4c9a11",
        "components": {"q": {"type": "ChatInput"}},
        "edges": ["q -> a"],
    }
    for name in ("one", "two"):
        flow["components"]["a"] = {"type": "ChatOutput", "settings": {"sender_name": name}}
        (tmp_path / f"{name}.json").write_text(json.dumps(flow))
    for name in ("one", "two"):
        answer = json.loads(run("run", tmp_path / f"{name}.json", "x", "--json"))
        assert answer["outputs"][0]["outputs"][0]["messages"][0]["sender_name"] == name


def test_a_file_of_several_flows_wants_a_name(run, tmp_path):
    flow = {"components": {"q": {"type": "ChatInput"}}}
    (tmp_path / "x.json").write_text(json.dumps({"flows": [{**flow, "name": "a"}, {**flow, "name": "b"}]}))
    with pytest.raises(FlowRunnerError, match="holds 2 flows"):
        run("run", tmp_path / "x.json")


def test_plugins_of_a_folder(run, tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "loud.py").write_text(
        "from flowrunner import Component, Input, Output, hookimpl\n"
        "class Loud(Component):\n"
        "    type_name = 'Loud'\n"
        "    inputs = (Input('input_value', 'str'),)\n"
        "    outputs = (Output('message'),)\n"
        "    def run(self, context, input_value):\n"
        "        return {'message': input_value.upper()}\n"
        "@hookimpl\n"
        "def register_components(register):\n"
        "    register(Loud)\n"
    )
    flow = {"components": {"q": {"type": "ChatInput"}, "l": {"type": "Loud"}, "a": {"type": "ChatOutput"}}}
    (tmp_path / "x.json").write_text(json.dumps({**flow, "edges": ["q -> l", "l -> a"]}))
    assert run("run", tmp_path / "x.json", "hi", "--plugins-dir", tmp_path / "plugins") == "HI\n"
    with pytest.raises(FlowRunnerError, match="No plugin offers Loud"):
        run("run", tmp_path / "x.json", "hi")
    listed = run("plugins", "--plugins-dir", tmp_path / "plugins")
    assert "loaded   loud (plugins folder)" in listed
    assert "Loud" in listed


# What the other commands say.


def test_plugins_lists_failed_and_blocked_ones_with_their_reasons(run, tmp_path, monkeypatch):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "broken.py").write_text("import no_such_module_here")
    (tmp_path / "plugins" / "unwanted.py").write_text("raise SystemError('never imported')")
    monkeypatch.setenv("FLOWRUNNER_PLUGINS_BLOCKED", "unwanted,file-json")
    listed = json.loads(run("plugins", "--plugins-dir", tmp_path / "plugins", "--json"))
    states = {record["name"]: (record["state"], record["reason"]) for record in listed["plugins"]}
    assert states["broken"] == ("failed", "ModuleNotFoundError: No module named 'no_such_module_here'")
    assert states["unwanted"] == ("blocked", "blocked by FLOWRUNNER_PLUGINS_BLOCKED")
    assert states["file-json"][0] == "blocked"
    assert states["components"] == ("loaded", "")
    chosen = {backend["name"]: backend["chosen"] for backend in listed["memory"]}
    assert chosen == {"sqlite": True, "in-memory": False}
    assert {"type": "ChatInput", "plugin": "components"} in listed["components"]
    shown = run("plugins", "--plugins-dir", tmp_path / "plugins")
    assert "failed   broken (plugins folder): ModuleNotFoundError" in shown
    assert "memory   sqlite (chosen)" in shown


def test_explain_says_who_decides_each_session(run):
    told = json.loads(run("explain", FLOWS / "memory-chat.json", "--session-id", "s1", "--json"))
    by_vertex = {row["vertex"]: row for row in told["components"]}
    assert {row["session"]["id"] for row in told["components"]} == {"s1"}
    assert {row["decided_by"] for row in told["components"]} == {"the request"}
    assert by_vertex["history"]["reads"]
    assert not by_vertex["history"]["writes"]
    assert by_vertex["question"]["writes"]
    assert by_vertex["answer"]["writes"]
    shown = run("explain", FLOWS / "memory-chat.json")
    assert "decided by nobody: the flow's id" in shown
    assert run("explain", "memory-chat", "--flows-dir", FLOWS) == shown


def test_explain_names_the_component_whose_setting_it_is(run, tmp_path):
    flow = {
        "components": {
            "q": {"type": "ChatInput", "settings": {"session_id": "mine"}},
            "a": {"type": "ChatOutput"},
            "island": {"type": "ChatOutput"},
        },
        "edges": ["q -> a"],
    }
    (tmp_path / "x.json").write_text(json.dumps(flow))
    told = json.loads(run("explain", tmp_path / "x.json", "--json"))
    decided = {row["vertex"]: (row["session"]["id"], row["session"]["component"]) for row in told["components"]}
    assert decided == {"q": ("mine", "q"), "a": ("mine", "q")}
    assert any("island" in warning for warning in told["warnings"])


def test_explain_warns_of_types_that_nobody_offers(run, tmp_path):
    flow = {
        "components": {
            "q": {"type": "ChatInput", "settings": {"session_id": "mine"}},
            "x": {"type": "NobodyHasThis", "display_name": "Strange"},
            "a": {"type": "ChatOutput"},
        },
        "edges": ["q -> x", "x.something -> a"],
    }
    (tmp_path / "x.json").write_text(json.dumps(flow))
    told = json.loads(run("explain", tmp_path / "x.json", "--json"))
    assert [row["session"]["id"] for row in told["components"]] == ["mine"] * 3
    assert told["components"][1]["component"] == "Strange"
    (warning,) = told["warnings"]
    assert "no plugin offers NobodyHasThis, so the flow cannot run;" in warning
    flow["edges"].append("q -> a")
    flow["edges"].remove("x.something -> a")
    (tmp_path / "x.json").write_text(json.dumps(flow))
    told = json.loads(run("explain", tmp_path / "x.json", "--json"))
    assert any("no plugin offers NobodyHasThis, so the flow runs without it." in w for w in told["warnings"])


def test_explain_asks_for_a_session_where_the_policy_does(run, monkeypatch):
    monkeypatch.setenv("FLOWRUNNER_SESSION_POLICY", "require")
    with pytest.raises(FlowRunnerError) as raised:
        run("explain", ECHO)
    assert raised.value.code == "session_required"
    assert "session s," in run("explain", ECHO, "--session-id", "s")


def test_keys_are_printed_alone_listed_and_revoked(run):
    key = run("keys", "create", "--user", "ann").strip()
    assert key
    assert " " not in key
    (listed,) = json.loads(run("keys", "list", "--json"))
    assert listed["user"] == "ann"
    assert key not in run("keys", "list")
    run("keys", "revoke", listed["id"])
    assert json.loads(run("keys", "list", "--json")) == []


def test_the_version(run):
    import flowrunner

    assert run("--version") == f"flowrunner, version {flowrunner.__version__}\n"
