"""Writing files, running other flows, and values that the vertices of a run share."""

from __future__ import annotations

import json

import pytest

from flowrunner import FlowRunnerError, Identity
from flowrunner.app import create_app, runner_of
from flowrunner.engine.request import RunRequest
from flowrunner.identity import LOCAL_IDENTITY
from flowrunner.runs.grants import MOST_NESTED
from tests.engine.rig import FLOW_ID, make_flow


@pytest.fixture
def runner(tmp_path):
    app = create_app(data_dir=tmp_path, memory="in-memory", auth="none", max_files=4)
    yield runner_of(app)
    runner_of(app).close()


def start(runner, vertices, edges, identity=LOCAL_IDENTITY, **request):
    return runner.execute(
        make_flow(vertices, edges), RunRequest(**{"input_value": "hi", "session_id": "s", **request}), identity
    )


def saved(runner, value, owner=LOCAL_IDENTITY, **settings):
    """Write a value and return the name and the content of the file."""
    vertices = [("in", "Gives", {"value": value}), ("it", "SaveToFile", settings), ("out", "ChatOutput")]
    result = start(runner, vertices, ["in.given -> it.input", "it.message -> out.input_value"], owner)
    path = result.text.removeprefix("Saved as ")
    return path, runner.stores.files.path_of(owner.id, path).read_text("utf-8")


@pytest.fixture(autouse=True)
def gives(runner):
    from flowrunner import Component, Input, Output

    class Gives(Component):
        """Give a value."""

        type_name = "Gives"
        inputs = (Input("value", "any"),)
        outputs = (Output("given", "Data"),)

        def run(self, context, value):
            return {"given": value}

    runner.plugins.registry._components["Gives"] = Gives()


ROWS = [{"a": 1, "b": "x, y"}, {"a": 2, "c": None}]


@pytest.mark.parametrize(
    ("value", "settings", "name", "content"),
    [
        ("Hello", {"file_name": "note"}, "note.txt", "Hello"),
        ("Hello", {"file_name": "note.md"}, "note.md", "Hello"),
        (ROWS, {"file_name": "t", "local_format": "csv"}, "t.csv", 'a,b,c\n1,"x, y",\n2,,\n'),
        (ROWS, {"file_name": "t.tsv"}, "t.tsv", "a\tb\tc\n1\tx, y\t\n2\t\t\n"),
        (ROWS, {"file_name": "t", "file_format": "jsonl"}, "t.jsonl", '{"a": 1, "b": "x, y"}\n{"a": 2, "c": null}\n'),
        ({"a": "é"}, {"file_name": "o", "local_format": "json"}, "o.json", '{\n  "a": "é"\n}'),
        ("Hello", {"file_name": "o", "local_format": "json"}, "o.json", '{\n  "message": "Hello"\n}'),
        (
            [{"a": "<b>"}],
            {"file_name": "t.html"},
            "t.html",
            "<table>\n<tr><th>a</th></tr>\n<tr><td>&lt;b&gt;</td></tr>\n</table>\n",
        ),
        ([{"a": 1}], {"file_name": "t", "local_format": "markdown"}, "t.md", "| a |\n| ---: |\n| 1 |"),
        (
            "Hello",
            {"file_name": "x", "storage_location": [{"name": "AWS"}], "aws_format": "log", "local_format": "json"},
            "x.log",
            "Hello",
        ),
        ("Hello", {"file_name": "../../etc/passwd"}, "passwd.txt", "Hello"),
        ("Hello", {"file_name": "C:\\temp\\v1.2"}, "v1.2.txt", "Hello"),
    ],
)
def test_a_value_is_written(runner, value, settings, name, content):
    assert saved(runner, value, **settings) == (f"{FLOW_ID}/{name}", content)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "file_name is empty"),
        ({"file_name": "a/"}, "file_name is empty"),
        ({"file_name": ".."}, "file_name is empty"),
        ({"file_name": "a", "local_format": "excel"}, "format excel cannot be written"),
        ({"file_name": "a", "file_format": "exe"}, "unknown format exe"),
        ({"file_name": "a\u0000"}, "control characters"),
    ],
)
def test_what_cannot_be_written_is_said(runner, settings, said):
    with pytest.raises(FlowRunnerError, match=said):
        saved(runner, "Hello", **settings)


def test_a_file_is_taken_over_or_added_to(runner):
    saved(runner, "one", file_name="f")
    assert saved(runner, "two", file_name="f") == (f"{FLOW_ID}/f.txt", "two")
    assert saved(runner, "three", file_name="f", append_mode=True)[1] == "twothree\n"
    assert saved(runner, [{"a": 1}], file_name="t.csv")[1] == "a\n1\n"
    assert saved(runner, [{"a": 2}], file_name="t.csv", append_mode=True)[1] == "a\n1\n2\n"
    assert len(runner.stores.files.list("local", flow_id=FLOW_ID)) == 2
    folder = runner.settings.data_dir / "files"
    assert sum(path.is_file() for path in folder.rglob("*")) == 2


def test_files_are_their_owners_and_bounded(runner):
    ann, bob = Identity("ann"), Identity("bob")
    saved(runner, "of ann", ann, file_name="f")
    assert saved(runner, "of bob", bob, file_name="f")[1] == "of bob"
    assert runner.stores.files.path_of("ann", f"{FLOW_ID}/f.txt").read_text() == "of ann"
    for number in range(3):
        saved(runner, "x", ann, file_name=f"f{number}")
    with pytest.raises(FlowRunnerError, match="at most 4 files"):
        saved(runner, "x", ann, file_name="one-too-many")
    assert saved(runner, "again", ann, file_name="f2")[1] == "again"


def store(runner, name, vertices, edges, owner="local", **more):
    """Store a flow of an owner; return its id."""
    data = {"nodes": [], "edges": []}
    for vertex_id, kind, *settings in vertices:
        template = {key: {"value": value} for key, value in (settings[0] if settings else {}).items()}
        data["nodes"].append(
            {"id": vertex_id, "data": {"id": vertex_id, "type": kind, "node": {"template": template, **more}}}
        )
    for text in edges:
        (source, output), (target, field) = (end.split(".", 1) for end in text.split(" -> "))
        handles = {"sourceHandle": {"name": output}, "targetHandle": {"fieldName": field}}
        data["edges"].append({"source": source, "target": target, "data": handles})
    return runner.stores.flows.create(owner, {"name": name, "data": data}).id


ECHO = ([("in", "ChatInput"), ("out", "ChatOutput")], ["in.message -> out.input_value"])


def ask(runner, settings, identity=LOCAL_IDENTITY, kind="RunFlow", output="flow_outputs_message", **request):
    vertices = [
        ("in", "ChatInput", {"should_store_message": False}),
        ("it", kind, settings),
        ("out", "ChatOutput", {"should_store_message": False}),
    ]
    edges = ["in.message -> it.input_value", f"it.{output} -> out.input_value"]
    return start(runner, vertices, edges, identity, **request).text


@pytest.mark.parametrize("kind", ["RunFlow", "FlowTool", "SubFlow"])
def test_a_flow_is_run_by_its_name_or_id_in_the_same_session(runner, kind):
    output = {"RunFlow": "flow_outputs_message", "FlowTool": "message", "SubFlow": "flow_outputs"}[kind]
    flow_id = store(runner, "An echo", *ECHO)
    for settings in (
        {"flow_name_selected": "An echo"},
        {"flow_name": flow_id},
        {"flow_id_selected": flow_id, "flow_name_selected": "whatever"},
        {"flow_id_selected": "99999999-9999-4999-8999-999999999999", "flow_name_selected": "An echo"},
    ):
        assert "hi" in ask(runner, settings, kind=kind, output=output)
    kept = runner.memory.for_owner("local").fetch(session_id="s")
    assert [message.text for message in kept] == ["hi", "hi"] * 4
    assert {message.flow_id for message in kept} == {flow_id}


def test_outputs_of_every_kind(runner):
    store(runner, "echo", *ECHO)
    named = {"flow_name_selected": "echo"}
    assert json.loads(ask(runner, named, output="flow_outputs_data").strip("`json\n"))["text"] == "hi"
    assert "| hi |" in ask(runner, named, output="flow_outputs_dataframe")


def test_what_the_vertex_shows_of_the_other_flow_is_an_input_and_an_output(runner):
    from flowrunner.flows.model import Edge, Flow, Port, Vertex, hash_content

    store(runner, "echo", *ECHO)
    vertices = (
        Vertex(
            "it",
            "RunFlow",
            settings={"flow_name_selected": "echo", "in~input_value": "from the vertex"},
            listed_outputs=(Port("out~message", ("Message",)), Port("in~message", ("Message",))),
        ),
        Vertex("end", "ChatOutput"),
    )
    edges = (Edge("it", "in~message", "end", "input_value"),)
    flow = Flow(FLOW_ID, "test", vertices, edges, content_hash=hash_content(vertices, edges))
    result = runner.execute(flow, RunRequest(session_id="s"), LOCAL_IDENTITY)
    assert result.text == "from the vertex"


def test_an_agents_tool_is_a_flow(tmp_path):
    pytest.importorskip("openai")
    from flowrunner.testing.model_script import call, say
    from flowrunner.testing.model_server import ModelServer

    with ModelServer() as model:
        app = create_app(
            data_dir=tmp_path,
            memory="in-memory",
            auth="none",
            model="openai:stand-in",
            model_base_urls=f"all={model.url}",
        )
        runner = runner_of(app)
        store(runner, "echo", *ECHO)
        model.script(call(("say_it_back", {"input_value": "abc"}), ("say_it_back", {})), say("done"))
        tool = {"flow_name": "echo", "tool_name": "say it back", "tool_description": "Says it back."}
        vertices = [("in", "ChatInput"), ("tool", "FlowTool", tool), ("agent", "Agent"), ("out", "ChatOutput")]
        edges = [
            "in.message -> agent.input_value",
            "tool.api_build_tool -> agent.tools",
            "agent.response -> out.input_value",
        ]
        assert start(runner, vertices, edges).text == "done"
        told = [m["content"] for m in model.asked[-1]["messages"] if m["role"] == "tool"]
        assert told == ["abc", "Error: the argument input_value is missing"]
        runner.close()


def test_only_flows_that_the_caller_may_run(runner):
    flow_id = store(runner, "of ann", *ECHO, owner="ann")
    for name in (flow_id, "of ann"):
        with pytest.raises(FlowRunnerError, match="not found"):
            ask(runner, {"flow_name_selected": name}, Identity("bob"))
        assert ask(runner, {"flow_name_selected": name}, Identity("ann")) == "hi"
        with pytest.raises(FlowRunnerError, match="not found"):
            # A key for one flow reaches those that its author names, and none that a request names.
            ask(runner, {}, Identity("ann", flows=frozenset({FLOW_ID})), tweaks={"it": {"flow_name_selected": name}})
        assert ask(runner, {"flow_name_selected": name}, Identity("ann", flows=frozenset({FLOW_ID}))) == "hi"


def test_flows_that_start_each_other_end(runner):
    vertices = [("in", "ChatInput"), ("it", "RunFlow", {"flow_name_selected": "round"}), ("out", "ChatOutput")]
    store(runner, "round", vertices, ["in.message -> it.input_value", "it.flow_outputs_message -> out.input_value"])
    with pytest.raises(FlowRunnerError, match=f"more than {MOST_NESTED} deep"):
        ask(runner, {"flow_name_selected": "round"})


def test_the_flows_that_a_run_starts_are_counted_together(runner, monkeypatch):
    monkeypatch.setattr("flowrunner.runs.grants.MOST_STARTED", 12)

    def store_branches(name, inner, number):
        vertices = [("in", "ChatInput"), ("out", "ChatOutput")]
        vertices += [(f"it{n}", "RunFlow", {"flow_name_selected": inner}) for n in range(number)]
        edges = [f"in.message -> it{n}.input_value" for n in range(number)]
        store(runner, name, vertices, [*edges, "it0.flow_outputs_message -> out.input_value"])

    store(runner, "leaf", *ECHO)
    store_branches("branch", "leaf", 3)
    store_branches("bush", "branch", 2)
    store_branches("tree", "branch", 4)
    for _ in range(2):
        assert ask(runner, {"flow_name_selected": "bush"}) == "hi"
    with pytest.raises(FlowRunnerError, match="one run started more than 12 flows"):
        ask(runner, {"flow_name_selected": "tree"})


def test_a_flow_that_fails_and_one_that_is_not_named_are_said(runner):
    with pytest.raises(FlowRunnerError, match="no flow is set"):
        ask(runner, {})
    store(
        runner,
        "bad",
        [("in", "ChatInput"), ("it", "Nothing"), ("out", "ChatOutput")],
        ["in.message -> it.x", "it.y -> out.input_value"],
    )
    with pytest.raises(FlowRunnerError, match="Nothing"):
        ask(runner, {"flow_name_selected": "bad"})


def listened(runner, *notices, key="k"):
    """Return what a Listen gives that stands before the Notify components in the file."""
    vertices = [("listen", "Listen", {"context_key": key}), ("out", "ChatOutput")]
    vertices += [(f"n{number}", "Notify", settings) for number, settings in enumerate(notices)]
    return start(runner, vertices, ["listen.data -> out.input_value"]).text


def test_a_listener_gets_what_was_left_for_it(runner):
    assert '"text": "one"' in listened(runner, {"context_key": "k", "input_value": "one"})
    assert '"text": "two"' in listened(runner, {"name": "k", "input_value": "one"}, {"name": "k", "input_value": "two"})
    both = listened(runner, {"name": "k", "input_value": "one"}, {"name": "k", "input_value": "two", "append": True})
    assert "one" in both
    assert "two" in both
    assert listened(runner, {"name": "other", "input_value": "one"}) == "```json\n{}\n```"


def test_what_is_left_is_of_one_run(runner):
    listened(runner, {"context_key": "k", "input_value": "secret"})
    assert "secret" not in listened(runner)


def test_a_name_is_wanted(runner):
    with pytest.raises(FlowRunnerError, match="context_key is empty"):
        listened(runner, key=" ")
