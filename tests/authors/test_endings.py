"""Code that ends the program, wherever a plugin's code runs: a failure of that code, and nothing else ends."""

from __future__ import annotations

import argparse
import asyncio
import signal

import pytest

from flowrunner import (
    Chunk,
    Component,
    ComponentFailed,
    FlowInvalid,
    FlowRunnerError,
    Input,
    MemoryFailed,
    Output,
    PluginFailed,
    Setting,
    SettingsInvalid,
    VectorStoreFailed,
    hookimpl,
)
from flowrunner.errors import is_interrupt
from tests.engine.rig import open_rig
from tests.vectors.plain import PlainVectors


class Stop(BaseException):
    """What somebody thought of."""


def parse():
    argparse.ArgumentParser(exit_on_error=True).parse_args(["--no-such-option"])


def throw(error):
    raise error


ENDINGS = {
    "sys.exit": (lambda: throw(SystemExit(3)), r"it called sys.exit\(3\)"),
    "sys.exit with a text": (lambda: throw(SystemExit("bad")), r"it called sys.exit\('bad'\)"),
    "exit without a word": (lambda: throw(SystemExit()), r"it called sys.exit\(\)"),
    "argparse": (parse, r"it called sys.exit\(2\)"),
    "KeyboardInterrupt": (lambda: throw(KeyboardInterrupt()), "KeyboardInterrupt"),
    "GeneratorExit": (lambda: throw(GeneratorExit()), "GeneratorExit"),
    "a cancelled task": (lambda: throw(asyncio.CancelledError()), "CancelledError"),
    "its own": (lambda: throw(Stop("enough")), "(Stop: )?enough"),
}


@pytest.fixture(params=ENDINGS)
def ending(request, capsys):
    return ENDINGS[request.param]


def component(act, **members):
    def run(self, context):
        act()

    return type("Ends", (Component,), {"type_name": "Ends", "outputs": (Output("text"),), "run": run, **members})


@pytest.mark.parametrize("blocking", [False, True])
def test_in_a_component(ending, blocking, tmp_path):
    act, said = ending
    with open_rig(tmp_path, components=(component(act, blocking=blocking),)) as rig:
        with pytest.raises(ComponentFailed, match=f"Error building Component Ends: {said}"):
            rig.run([("Ends-1", "Ends")])
        (row,) = rig.messages()
        assert row.error
        assert rig.run([("Pass-1", "Pass", {"value": "x"})]).vertices[0].outputs == {"text": "x"}


def test_in_a_generator(ending, tmp_path):
    act, said = ending

    def run(self, context):
        yield "a"
        act()

    with open_rig(tmp_path, components=(component(act, run=run),)) as rig, pytest.raises(ComponentFailed, match=said):
        rig.run([("Ends-1", "Ends")])


@pytest.mark.parametrize("query", ["", "?stream=true", "?stream=sse"])
def test_over_http(ending, query, start):
    act, _ = ending
    runner = start(component(act), flows={"ends": {"one": "Ends", "two": "ChatOutput"}})
    with runner.app.test_client() as client:
        answer = client.post(f"/api/v1/run/ends{query}", json={"input_value": "x"})
        shown = answer.get_data(as_text=True)
    assert answer.status_code == (200 if query else 500)
    assert "Error building Component Ends" in shown
    assert shown.rstrip().endswith("}") or "event: error" in shown


def test_ctrl_c_is_no_failure_of_the_component_that_ran(tmp_path):
    # Not os.kill: any thread of the process might get the signal, and this one go on before it is told.
    made = component(lambda: signal.raise_signal(signal.SIGINT))
    with open_rig(tmp_path, components=(made,)) as rig, pytest.raises(KeyboardInterrupt):
        rig.run([("Ends-1", "Ends")])


def test_what_gevent_stops_its_greenlets_with_passes():
    assert is_interrupt(type("GreenletExit", (BaseException,), {"__module__": "greenlet"})())
    assert not is_interrupt(SystemExit())


def test_in_a_tool(tmp_path, capsys):
    from flowrunner_models.agent_tools import use_tools
    from flowrunner_models.protocol import ToolCall

    from flowrunner import CancelToken, Tool

    class Context:
        cancelled = CancelToken()

    tools = {"t": Tool("t", "", {}, lambda arguments: parse())}
    calls = [ToolCall("1", "t", "{}"), ToolCall("2", "t", "{}")]
    for asked in (calls, calls[:1]):
        for outcome in use_tools(Context(), tools, asked, forgiving=True):
            assert outcome.failed
            assert "SystemExit(2)" in outcome.text


@pytest.mark.parametrize("hook", ["append_messages", "fetch_messages", "delete_messages", "list_sessions"])
def test_in_a_wrapper_of_the_memory(ending, hook, start):
    act, said = ending

    class Ends:
        @hookimpl(wrapper=True)
        def append_messages(self, messages):
            hook != "append_messages" or act()
            return (yield)

        @hookimpl(wrapper=True)
        def fetch_messages(self, query):
            found = yield
            hook != "fetch_messages" or act()
            return found

        @hookimpl(wrapper=True)
        def delete_messages(self, query):
            hook != "delete_messages" or act()
            return (yield)

        @hookimpl(wrapper=True)
        def list_sessions(self, query):
            hook != "list_sessions" or act()
            return (yield)

    runner = start(Ends, flows={"echo": {"question": "ChatInput", "answer": "ChatOutput"}})
    memory = runner.memory.for_owner("ann")
    with pytest.raises(MemoryFailed, match=f"Plugin Ends failed in {hook}: {said}"):
        _use(runner, memory)


def _use(runner, memory):
    runner.run("echo", "hi", session_id="s")
    memory.fetch()
    memory.sessions()
    memory.delete(session_id="s")


def test_in_an_observer(ending, start, caplog):
    act, _ = ending

    class Watch:
        @hookimpl
        def run_event(self, event):
            act()

    runner = start(Watch, flows={"echo": {"question": "ChatInput", "answer": "ChatOutput"}})
    assert runner.run("echo", "hi").text == "hi"
    assert "an observer of runs failed: the plugin Watch" in caplog.text


def test_in_identify(ending, start):
    act, said = ending

    class Who:
        @hookimpl
        def identify(self, request):
            act()

    runner = start(Who, auth="key")
    with pytest.raises(FlowRunnerError, match=f"Plugin Who failed in identify: {said}"):
        runner.identify(None)
    assert runner.app.test_client().get("/api/v1/monitor/messages").status_code == 500


@pytest.mark.parametrize(
    "hook", ["register_components", "register_settings", "register_memory_backends", "use_settings"]
)
def test_in_a_hook_at_the_start(ending, hook, start):
    act, said = ending
    plugin = type("Ends", (), {hook: hookimpl(_taking(hook, act))})
    with pytest.raises(PluginFailed, match=f"Plugin Ends failed in {hook}: {said} .*test_endings.py, line"):
        start(plugin)


def _taking(hook, act):
    if hook == "use_settings":
        return lambda self, settings: act()
    return lambda self, register: act()


def test_while_a_backend_opens(ending, start):
    act, said = ending

    class Offers:
        @hookimpl
        def register_memory_backends(self, register):
            register("mine", lambda app, settings: act())

    with pytest.raises(PluginFailed, match=f"memory backend mine of plugin Offers cannot start: {said}"):
        _ = start(Offers, memory="mine").memory


def test_while_a_setting_is_read(ending, start, monkeypatch):
    act, said = ending

    class Offers:
        @hookimpl
        def register_settings(self, register):
            register(Setting("WORD", "", "a word", lambda value: act()))

    monkeypatch.setenv("FLOWRUNNER_WORD", "x")
    with pytest.raises(SettingsInvalid, match=f"FLOWRUNNER_WORD 'x' cannot be used: {said}"):
        start(Offers)


IMPORTED = {
    "sys.exit": ("import sys\n\nsys.exit(4)", r"it called sys.exit\(4\) .*mine.py, line 3"),
    "Ctrl-C by hand": ("raise KeyboardInterrupt", "KeyboardInterrupt .*mine.py, line 1"),
    "argparse": (
        "import argparse\n\n\ndef read():\n    argparse.ArgumentParser().parse_args(['--x'])\n\n\nread()",
        r"it called sys.exit\(2\) .*mine.py, line 5",
    ),
    "a module that is not there": ("import os\nimport no_such_module", "No module named .* .*mine.py, line 2"),
    "a name that is not there": ("from os import nothing_of_it", "ImportError: .*mine.py, line 1"),
    "half a function": ("x = 1\ndef half(:\n    pass", "SyntaxError: .*mine.py, line 2"),
    "a sum that is none": ("x = 1\n\n\ny = x / 0", "ZeroDivisionError: .*mine.py, line 4"),
    "a full stop": ("raise ValueError('No key.')", r"ValueError: No key \(.*mine.py, line 1"),
}


@pytest.mark.parametrize("case", IMPORTED)
def test_at_import(case, plugin_file, start, capsys):
    source, sentence = IMPORTED[case]
    folder = plugin_file(source)
    with pytest.raises(
        PluginFailed, match=rf"The plugin mine \(plugins folder\) cannot be loaded: .*{sentence}"
    ) as failed:
        start(plugins_dir=str(folder))
    assert failed.value.message.endswith(".")
    assert ".." not in failed.value.message.replace("...", "")


def test_in_the_module_of_a_package(plugin_file, start):
    plugin_file("from . import part", "mine/__init__.py")
    folder = plugin_file("import json\n\njson.loads('{')", "mine/part.py")
    with pytest.raises(PluginFailed, match=r"JSONDecodeError: .*mine/part.py, line 3"):
        start(plugins_dir=str(folder))


@pytest.mark.parametrize("method", ["fills_with", "reads_with", "rounds_with", "streams_through_with", "inputs_for"])
def test_while_a_flow_is_planned(ending, method, tmp_path):
    act, said = ending
    members = {method: lambda self, *arguments: act()}
    if method == "reads_with":
        members["fills_with"] = lambda self, settings, connected: "shelf"
    kind = type("Ends", (_Passes,), {"type_name": "Ends", **members})
    edges = ["in.message -> it.text", "it.said -> out.input_value", "it.said -> it.again"]
    with (
        open_rig(tmp_path, components=(kind,)) as rig,
        pytest.raises(FlowInvalid, match=f"it.*{method}.*failed: {said}"),
    ):
        rig.run(
            [("in", "ChatInput"), ("it", "Ends"), ("out", "ChatOutput")], edges[: 3 if method == "rounds_with" else 2]
        )


class _Passes(Component):
    """Pass a text on."""

    inputs = (Input("text"), Input("again"))
    outputs = (Output("said"),)

    def run(self, context, text, again):
        return {"said": text}


@pytest.mark.parametrize(
    "method", ["upsert_chunks", "search_chunks", "fetch_chunks", "delete_chunks", "list_collections", "list_documents"]
)
def test_in_a_vector_store(ending, method, start, caplog):
    act, said = ending
    kind = type("Ends", (PlainVectors,), {method: lambda self, *arguments: act(), "close": lambda self: act()})

    class Offers:
        @hookimpl
        def register_vector_stores(self, register):
            register("mine", lambda app, settings: kind())

    runner = start(Offers, vector_store="mine")
    handle = runner.vectors.for_owner("local")
    calls = {
        "upsert_chunks": lambda: handle.upsert("c", [Chunk("a", "a", [1.0])]),
        "search_chunks": lambda: handle.search("c", [1.0]),
        "fetch_chunks": lambda: handle.fetch("c"),
        "delete_chunks": lambda: handle.delete("c"),
        "list_collections": handle.collections,
        "list_documents": lambda: handle.documents("c"),
    }
    for name, call in calls.items():
        if name == method:
            with pytest.raises(VectorStoreFailed, match=f"The vector store mine failed in {name}: {said}"):
                call()
        else:
            call()
    runner.close()
    assert "The vector store mine failed to close" in caplog.text


def test_in_code_that_lies_in_no_file(start):
    """The place at which it broke has no folder."""
    made = {}
    exec("def register_components(self, register): raise SystemExit(3)", made)
    with pytest.raises(PluginFailed, match=r"Plugin Made failed in register_components: it called sys.exit\(3\)"):
        start(type("Made", (), {"register_components": hookimpl(made["register_components"])}))
