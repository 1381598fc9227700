"""Each hook, driven by a real run of a real app. tests/project/test_tables.py demands one test per hook."""

from __future__ import annotations

import contextlib
import json

import pytest
from flowrunner_in_memory.backend import InMemory

from flowrunner import (
    Chunk,
    Component,
    Identity,
    Input,
    MessageChanges,
    NotAllowed,
    Output,
    PluginFailed,
    RunEngine,
    Setting,
    SettingsInvalid,
    hookimpl,
    new_id,
)
from flowrunner.app import create_app, runner_of
from flowrunner.engine.request import RunRequest
from flowrunner.identity import LOCAL_IDENTITY
from tests.vectors.plain import PlainVectors

FLOW = {
    "name": "hooked",
    "components": {
        "question": {"type": "ChatInput"},
        "exclaim": {"type": "Exclaim"},
        "answer": {"type": "ChatOutput"},
    },
    "edges": ["question -> exclaim", "exclaim -> answer"],
}


class Exclaim(Component):
    """Return the text with the mark that the operator has chosen."""

    type_name = "Exclaim"
    inputs = (Input("input_value", "str"),)
    outputs = (Output("message"),)

    def run(self, context, input_value):
        return {"message": input_value + getattr(context.settings, "mark", "!")}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "hooked.json").write_text(json.dumps(FLOW))
    return tmp_path


@pytest.fixture
def start(folder):
    """Start runners with plugins; all are closed at the end."""
    started = []

    def start(*plugins, config=None, **settings):
        settings = {"memory": "in-memory", "auth": "none", **settings}
        offered = () if any(hasattr(plugin, "register_components") for plugin in plugins) else (Exclaim,)
        app = create_app(
            config,
            plugins=[*offered, *plugins],
            data_dir=folder / "data",
            flows_dir=(str(folder / "flows"),),
            **settings,
        )
        started.append(runner_of(app))
        return app, runner_of(app)

    yield start
    for runner in started:
        runner.close()


def test_hook_register_components(start):
    class Plugin:
        @hookimpl
        def register_components(self, register):
            register(Exclaim)

    _, runner = start(Plugin())
    assert runner.run("hooked", "hi").text == "hi!"
    assert runner.plugins.registry.plugin_of("Exclaim") == "Plugin"


def test_hook_register_memory_backends(start):
    opened = []

    class Store(InMemory):
        """A store that tells with what it was opened."""

    class Plugin:
        @hookimpl
        def register_memory_backends(self, register):
            def factory(app, settings):
                opened.append((app.name, settings.shelf_height))
                return Store()

            register("shelf", factory, settings=(Setting("SHELF_HEIGHT", 1, "how high it is", int),))

    _, runner = start(Plugin(), memory="shelf", config={"FLOWRUNNER_SHELF_HEIGHT": "3"})
    result = runner.run("hooked", "hi", session_id="s")
    assert opened == [("flowrunner", 3)]
    assert isinstance(runner.memory.backend, Store)
    assert [m.text for m in runner.memory_of(LOCAL_IDENTITY).fetch(session_id="s")] == ["hi", "hi!"]
    assert [m.text for m in result.messages] == ["hi", "hi!"]


def test_hook_register_vector_stores(start):
    built = []

    class Plugin:
        @hookimpl
        def register_vector_stores(self, register):
            def factory(app, settings):
                built.append((app.name, settings.shelf_height))
                return PlainVectors()

            register("shelf", factory, settings=(Setting("SHELF_HEIGHT", 1, "how high it is", int),))

    class Remember(Component):
        type_name = "Exclaim"
        inputs = (Input("input_value", "str"),)
        outputs = (Output("message"),)

        def run(self, context, input_value):
            context.vectors.upsert("said", [Chunk(input_value, input_value, [1.0])])
            return {"message": str(len(context.vectors.fetch("said")))}

    class Components:
        @hookimpl
        def register_components(self, register):
            register(Remember)

    app, runner = start(Plugin(), Components(), vector_store="shelf", config={"FLOWRUNNER_SHELF_HEIGHT": "3"})
    assert built == []
    assert [runner.run("hooked", text).text for text in ("a", "b", "a")] == ["1", "2", "2"]
    assert runner.run("hooked", "c", identity=Identity("ann")).text == "1"
    assert built == [("flowrunner", 3)]
    assert isinstance(runner.vectors.store, PlainVectors)


def test_hook_register_engines(start):
    told, closed = [], []

    class Engine(RunEngine):
        def __init__(self, height):
            self.height = height

        def send(self, run_id):
            told.append(run_id)

        def close(self):
            closed.append(self.height)

    class Plugin:
        @hookimpl
        def register_engines(self, register):
            register(
                "shelf",
                lambda app, settings: Engine(settings.shelf_height),
                settings=(Setting("SHELF_HEIGHT", 1, "how high it is", int),),
            )

    _, runner = start(Plugin(), engine="shelf", memory="sqlite", config={"FLOWRUNNER_SHELF_HEIGHT": "3"})
    flow = runner.find("hooked", LOCAL_IDENTITY)
    asked = [RunRequest(input_value=text, session_id="s") for text in ("a", "b")]
    first, second = (runner.start(flow, request, LOCAL_IDENTITY) for request in asked)
    assert told == [first, second]
    # The second of a session waits for the first, and is sent again when that has ended.
    assert runner.carry_out(second) == "queued"
    assert runner.carry_out(first) == "success"
    assert told == [first, second, second]
    assert [runner.carry_out(second) for _ in range(2)] == ["success", "success"]
    assert runner.carry_out(new_id()) == "unknown"
    said = runner.memory.for_owner(LOCAL_IDENTITY.id).fetch(session_id="s")
    assert [message.text for message in said] == ["a", "a!", "b", "b!"]
    runner.close()
    assert closed == [3]


def test_an_engine_that_nobody_offers_or_can_build_is_refused(start):
    with pytest.raises(
        PluginFailed, match="No plugin offers the engine 'shelf'; available are: pool, celery, procrastinate"
    ):
        start(engine="shelf")

    class Plugin:
        @hookimpl
        def register_engines(self, register):
            register("shelf", lambda app, settings: 1 / 0)

    with pytest.raises(PluginFailed, match="The engine shelf cannot be opened: ZeroDivisionError"):
        start(Plugin(), engine="shelf")[1].open()
    with pytest.raises(SettingsInvalid, match="ENGINE=procrastinate keeps its queue in PostgreSQL"):
        start(engine="procrastinate")


@pytest.mark.parametrize("name", ["celery", "procrastinate"])
def test_an_engine_whose_extra_is_missing_is_refused(start, monkeypatch, name):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda word, *rest: None if word == name else real(word, *rest))
    with pytest.raises(SettingsInvalid, match=rf"ENGINE={name} needs \w+: pip install 'flask-flowrunner\[{name}\]'"):
        start(engine=name)


def test_hook_register_settings(start):
    class Plugin:
        @hookimpl
        def register_settings(self, register):
            register(Setting("MARK", "?", "what Exclaim adds"))

    _, runner = start(Plugin())
    assert runner.run("hooked", "hi").text == "hi?"
    _, runner = start(Plugin(), config={"FLOWRUNNER_MARK": "~"})
    assert runner.run("hooked", "hi").text == "hi~"


def test_hook_identify(start):
    class Plugin:
        @hookimpl
        def identify(self, request):
            name = request.headers.get("X-User")
            return Identity(name) if name else None

    app, runner = start(Plugin(), auth="key")
    client = app.test_client()
    body = {"input_value": "hi", "session_id": "s"}
    headers = {"X-User": "ann", "X-Flowrunner": "1"}
    assert client.post("/api/v1/run/hooked", json=body, headers=headers).status_code == 200
    assert client.post("/api/v1/run/hooked", json=body, headers={"X-Flowrunner": "1"}).status_code == 403
    assert len(runner.memory_of(Identity("ann")).fetch(session_id="s")) == 2
    assert runner.memory_of(Identity("bob")).fetch(session_id="s") == []


def test_hook_run_event(start):
    seen = []

    class Plugin:
        @hookimpl
        def run_event(self, event):
            seen.append(event)
            raise RuntimeError("an observer never harms a run")

    _, runner = start(Plugin())
    result = runner.run("hooked", "hi")
    assert result.text == "hi!"
    kinds = [event.kind for event in seen]
    assert (kinds[0], kinds[-1]) == ("run_started", "run_finished")
    assert kinds.count("vertex_finished") == 3
    assert kinds.count("message_added") == 2
    assert {event.run_id for event in seen} == {result.run_id}
    assert [event.seq for event in seen] == sorted(event.seq for event in seen)


def _two_turns(start, plugin, memory="sqlite"):
    """Run a flow twice in the session ``s`` of a runner with a plugin; return the runner and its owner's messages."""
    _, runner = start(plugin, memory=memory)
    for text in ("one", "two"):
        runner.run("hooked", text, session_id="s")
    return runner, runner.memory_of(LOCAL_IDENTITY)


def test_hook_append_messages(start):
    owners = []

    class Shout:
        @hookimpl(wrapper=True)
        def append_messages(self, messages):
            owners.extend(message.owner for message in messages)
            messages[:] = [message.replace(text=message.text.upper()) for message in messages]
            return (yield)

    _, memory = _two_turns(start, Shout())
    assert [m.text for m in memory.fetch(session_id="s")] == ["ONE", "ONE!", "TWO", "TWO!"]
    assert set(owners) == {"local"}


def test_hook_fetch_messages(start):
    class Whisper:
        @hookimpl(wrapper=True)
        def fetch_messages(self, query):
            found = yield
            assert query.owner == "local"
            return [message.replace(text=message.text.replace("!", ".")) for message in found]

    _, memory = _two_turns(start, Whisper())
    assert [m.text for m in memory.fetch(session_id="s", limit=3)] == ["one.", "two", "two."]


def test_hook_update_messages(start):
    seen = []

    class Watch:
        @hookimpl(wrapper=True)
        def update_messages(self, query, changes):
            changed = yield
            seen.append((query.session_id, changes.session_id, len(changed)))
            return changed

    _, memory = _two_turns(start, Watch())
    assert len(memory.update(MessageChanges(session_id="t"), session_id="s")) == 4
    assert seen == [("s", "t", 4)]
    assert memory.fetch(session_id="s") == []


def test_hook_delete_messages(start):
    class Forbid:
        @hookimpl(wrapper=True)
        def delete_messages(self, query):
            if query.session_id is None:
                raise NotAllowed("Name a session.")
            return (yield)

    _, memory = _two_turns(start, Forbid())
    with pytest.raises(NotAllowed):
        memory.delete()
    assert memory.delete(session_id="s") == 4


def test_hook_list_sessions(start):
    class Hide:
        @hookimpl(wrapper=True)
        def list_sessions(self, query):
            found = yield
            return [session for session in found if not session.session_id.startswith("hidden")]

    runner, memory = _two_turns(start, Hide())
    runner.run("hooked", "three", session_id="hidden-1")
    assert [(session.session_id, session.count) for session in memory.sessions()] == [("s", 4)]


def test_hook_session_lock(start):
    taken = []

    class Locking(InMemory):
        """A store that has locks of its own."""

        def session_lock(self, owner, session_id, wait):
            return contextlib.nullcontext(True)

    class Plugin:
        @hookimpl
        def register_memory_backends(self, register):
            register("locking", lambda app, settings: Locking())

        @hookimpl(wrapper=True)
        def session_lock(self, owner, session_id, wait):
            lock = yield
            taken.append((owner, session_id, lock is not None))
            return lock

    _two_turns(start, Plugin(), memory="locking")
    assert taken == [("local", "s", True)] * 2
    taken.clear()
    _two_turns(start, Plugin(), memory="in-memory")
    assert taken == []


def test_hook_close(start):
    seen = []

    class Watch:
        @hookimpl(wrapper=True)
        def close(self):
            closed = yield
            seen.append(closed)
            return closed

    runner, _ = _two_turns(start, Watch())
    assert seen == []
    runner.close()
    assert seen == [True]
