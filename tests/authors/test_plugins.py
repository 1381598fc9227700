"""Plugins that would do nothing, settings that are none, wrappers that say nothing: named in a sentence."""

from __future__ import annotations

import functools
import sys
from types import ModuleType

import pluggy
import pytest
from click.testing import CliRunner

from flowrunner import MemoryFailed, Message, PluginFailed, Setting, SettingsInvalid, hookimpl
from flowrunner.cli import cli
from flowrunner.hookspecs import PROJECT
from flowrunner.identity import LOCAL_IDENTITY
from flowrunner.plugins import PluginManager

ECHO = {"echo": {"question": "ChatInput", "answer": "ChatOutput"}}


def marked(source, options=""):
    """Return the source of a file with one function that is marked."""
    return f"from flowrunner import hookimpl\n\n\n@hookimpl{options}\n{source}"


USELESS = {
    "no mark": ("def register_components(register):\n    pass", "its function register_components is not marked"),
    "another project's mark": (
        "import pluggy\n\nmark = pluggy.HookimplMarker('datasette')\n\n\n@mark\ndef run_event(event):\n    pass",
        "another project, datasette: write from flowrunner import hookimpl",
    ),
    "pytest's mark": (
        "import pytest\n\n\n@pytest.hookimpl\ndef register_components(register):\n    pass",
        "another project, pytest: write from",
    ),
    "a component alone": (
        "from flowrunner import Component\n\n\nclass Shout(Component):\n    type_name = 'Shout'",
        "its component Shout is not registered: add a function register_components",
    ),
    "hooks in a class": (
        "from flowrunner import hookimpl\nclass Mine:\n    @hookimpl\n    def run_event(self, event):\n        pass",
        "functions marked with @hookimpl are in the class Mine: move them to the top level",
    ),
    "an argument of another name": (
        marked("def register_components(registry):\n    pass"),
        "its register_components takes registry, which is not an argument of the hook; it has register.$",
    ),
    "one argument more": (
        marked("def run_event(event, more):\n    pass"),
        "its run_event takes more, which is not an argument of the hook; it has event.$",
    ),
    "an argument where there is none": (
        marked("def close(memory):\n    pass"),
        "its close takes memory, which is not an argument of the hook; it has nothing.$",
    ),
    "no argument": (
        marked("def register_components():\n    pass"),
        "its register_components does not take register, so it cannot offer anything",
    ),
    "a wrapper without a yield": (
        marked("def append_messages(messages):\n    return []", "(wrapper=True)"),
        "its append_messages is a wrapper but does not yield: call the wrapped hook with answer = yield",
    ),
    "async def": (
        marked("async def register_components(register):\n    pass"),
        "its register_components is an async def, which is not supported: write def register_components",
    ),
    "an observer that is async": (
        marked("async def run_event(event):\n    pass"),
        "its run_event is an async def, which is not supported",
    ),
    "a generator": (
        marked("def register_components(register):\n    yield"),
        "its register_components yields and would never run",
    ),
    "a wrapper that does not say so": (
        marked("def fetch_messages(query):\n    return (yield)"),
        "its fetch_messages yields and would never run: .* @hookimpl.wrapper=True.",
    ),
    "nothing": ("", "none of its functions is marked with @hookimpl"),
    "a hook that is none": (
        "from flowrunner import hookimpl\n\n\n@hookimpl\ndef register_component(register):\n    pass",
        "it implements register_component, which is not a flowrunner hook",
    ),
}


@pytest.mark.parametrize("case", USELESS)
def test_a_file_that_would_do_nothing(case, plugin_file, start):
    source, sentence = USELESS[case]
    with pytest.raises(PluginFailed, match=f"The plugin mine .plugins folder. cannot be loaded: .*{sentence}"):
        start(plugins_dir=str(plugin_file(source)))


@pytest.mark.parametrize(
    ("hook", "answer", "shown"),
    [
        ("register_components", [1], "1 int"),
        ("register_settings", Setting("LONGEST", 1, "an example"), "Setting"),
        ("register_memory_backends", {"mine": 1}, "dict of 1"),
    ],
)
def test_what_is_returned_and_not_registered(hook, answer, shown, start):
    plugin = type("Mine", (), {hook: hookimpl(lambda self, register: answer)})
    with pytest.raises(PluginFailed, match=rf"Mine failed in {hook}: it returned {shown}, .* call register\(...\)"):
        start(plugin)


def test_a_register_that_is_called_wrongly_goes_by_its_own_name(start):
    plugin = type("Mine", (), {"register_memory_backends": hookimpl(lambda self, register: register("mine"))})
    with pytest.raises(PluginFailed, match=r"TypeError: register\(\) missing 1 .* argument: 'factory'"):
        start(plugin)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "None would do nothing: pass component classes, or plugins"),
        ({}, "{} would do nothing"),
        (sys, "would do nothing: pass component classes"),
        (type("P", (), {"append_messages": lambda self: None}), "its function append_messages is not marked"),
    ],
)
def test_an_object_that_would_do_nothing(given, words, start):
    with pytest.raises(PluginFailed, match=words):
        start(given)


@pytest.mark.parametrize("given", ["mine", dict, 5, None])
def test_plugins_that_are_no_list(given):
    from flowrunner.app import create_app

    with pytest.raises(SettingsInvalid, match="pass a list of component classes and plugins"):
        create_app(plugins=given)


SETTINGS = {
    "the prefix": (Setting("FLOWRUNNER_FOO", 1, "x"), "leave out FLOWRUNNER_, .*: FOO"),
    "the prefix in small letters": (Setting("flowrunner_foo", 1, "x"), "leave out FLOWRUNNER_, .*: FOO"),
    "small letters": (Setting("foo", 1, "x"), "'foo'; a name has capital letters"),
    "a blank": (Setting("FOO BAR", 1, "x"), "a name has capital letters"),
    "no name": (Setting("", 1, "x"), "a name has capital letters"),
    "a name that is no text": (Setting(5, 1, "x"), "a name has capital letters"),
    "a name of the object": (Setting("SOURCES", 1, "x"), "may not be one of PREFIX, SOURCES, WITH_VALUES"),
    "a text": ("FOO", "registers 'FOO' as a setting"),
    "the class": (Setting, "registers <class .*> as a setting"),
    "a pair": (("FOO", 1), "registers .* as a setting"),
    "a parse that is none": (Setting("FOO", 1, "x", "int"), "FOO, whose parse is not a function"),
    "a name of the core": (Setting("MEMORY", 1, "x"), "declares the setting MEMORY, which already exists"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_a_setting_that_is_none(case, start):
    given, sentence = SETTINGS[case]

    class Offers:
        @hookimpl
        def register_settings(self, register):
            register(given)

    with pytest.raises(PluginFailed, match=f"Plugin Offers .*{sentence}") as refused:
        start(Offers)
    assert "attribute" not in refused.value.message


BACKENDS = {
    "one setting without a comma": (("mine", lambda a, s: None, Setting("MINE_X", 1, "x")), "single Setting; .*comma"),
    "a text for settings": (("mine", lambda a, s: None, "X"), "registers 'X' as a setting"),
    "a setting of another name": (("mine", lambda a, s: None, (Setting("X", 1, "x"),)), "must begin with MINE_"),
    "with the prefix": (("mine", lambda a, s: None, (Setting("FLOWRUNNER_MINE_X", 1, "x"),)), "leave out FLOWRUNNER_"),
    "a name with a blank": (("my store", lambda a, s: None), "called 'my store'; a name"),
    "no name": (("", lambda a, s: None), "called ''; a name"),
    "a backend for a factory": (("mine", object()), "as its factory; a factory is a function"),
    "a taken name": (("sqlite", lambda a, s: None), "which plugin sqlite already offers"),
}


@pytest.mark.parametrize("case", BACKENDS)
def test_a_backend_that_cannot_be_offered(case, start):
    given, sentence = BACKENDS[case]

    class Offers:
        @hookimpl
        def register_memory_backends(self, register):
            register(*given)

    with pytest.raises(PluginFailed, match=f"Plugin Offers .*{sentence}"):
        start(Offers)


def test_check_says_what_run_says(plugin_file, tmp_path, monkeypatch):
    flow = tmp_path / "echo.json"
    flow.write_text('{"components": {"q": {"type": "ChatInput"}, "a": {"type": "ChatOutput"}}, "edges": ["q -> a"]}')
    source = """
        from flowrunner import Setting, hookimpl


        @hookimpl
        def register_settings(register):
            register(Setting("FLOWRUNNER_FOO", 1, "x"))
    """
    folder = str(plugin_file(source))
    monkeypatch.setenv("FLOWRUNNER_DATA_DIR", str(tmp_path / "data"))
    said = []
    for command in (["check", str(flow)], ["run", str(flow), "hi"]):
        done = CliRunner().invoke(cli, [*command, "--plugins-dir", folder])
        assert isinstance(done.exception, PluginFailed)
        said.append(done.exception.message)
    assert said[0] == said[1]


ANSWERS = {
    "append_messages": (lambda memory: memory.append(_message()), "a list"),
    "fetch_messages": (lambda memory: memory.fetch(), "a list"),
    "update_messages": (lambda memory: _update(memory), "a list"),
    "delete_messages": (lambda memory: memory.delete(session_id="s"), "a number"),
    "list_sessions": (lambda memory: memory.sessions(), "a list"),
}


def _message():
    return Message(text="x", sender="User", sender_name="U", session_id="s")


def _update(memory):
    from flowrunner import MessageChanges

    return memory.update(MessageChanges(text="y"), session_id="s")


@pytest.mark.parametrize("hook", ANSWERS)
@pytest.mark.parametrize("answer", [None, "x", object()])
def test_a_wrapper_that_answers_wrongly_is_named(hook, answer, start):
    use, wanted = ANSWERS[hook]

    def wrong(self):
        yield
        return answer

    class Fine:
        """Lies around it, and is not to blame."""

    for name in ANSWERS:
        setattr(Fine, name, hookimpl(wrapper=True)(_passing()))
    plugin = type("Silent", (), {hook: hookimpl(wrapper=True)(wrong)})
    runner = start(plugin, Fine, flows=ECHO)
    sentence = (
        "the plugin Silent wraps it and returned nothing" if answer is None else f"Silent wraps {hook} and .*{wanted}"
    )
    with pytest.raises(MemoryFailed, match=sentence):
        use(runner.memory_of(LOCAL_IDENTITY))


def _passing():
    def passing(self):
        return (yield)

    return passing


def test_a_wrapper_that_breaks_is_named(start):
    class Breaks:
        @hookimpl(wrapper=True)
        def append_messages(self, messages):
            {}["no key"]
            return (yield)

    class Around:
        @hookimpl(wrapper=True, tryfirst=True)
        def append_messages(self, messages):
            return (yield)

    runner = start(Breaks, Around, flows=ECHO)
    with pytest.raises(MemoryFailed, match="Plugin Breaks failed in append_messages: KeyError: 'no key'"):
        runner.run("echo", "hi")


def test_wrappers_lie_around_each_other_as_the_page_says(start):
    order = []

    def wrapper(name, **options):
        def append_messages(self, messages):
            order.append(name)
            stored = yield
            order.append(name.lower())
            return stored

        return type(name, (), {"append_messages": hookimpl(wrapper=True, **options)(append_messages)})

    plugins = [wrapper("L", trylast=True), wrapper("A"), wrapper("F", tryfirst=True), wrapper("B")]
    start(*plugins, flows=ECHO).memory_of(LOCAL_IDENTITY).append(_message())
    assert "".join(order) == "FBALlabf"


def test_calls_of_hooks_are_traced(start, capsys):
    class Audit:
        @hookimpl(wrapper=True)
        def append_messages(self, messages):
            return (yield)

        @hookimpl
        def run_event(self, event):
            pass

    runner = start(Audit, flows=ECHO, trace_plugins=True)
    runner.run("echo", "a secret text", session_id="s")
    lines = capsys.readouterr().err.splitlines()
    assert "flowrunner: register_components(register=function) -> components: None" in lines
    calls = [
        line.removeprefix("flowrunner: append_messages(messages=2 Message) -> ") for line in lines if "append" in line
    ]
    assert calls == ["Audit (wrapper): entered", "memory backend: 2 Message", "Audit (wrapper): 2 Message"]
    assert "flowrunner: run_event(event=RunEvent run_started) -> Audit: None" in lines
    assert "secret" not in "\n".join(lines)


def test_what_a_traced_wrapper_raises_is_traced(start, capsys):
    class Refuses:
        @hookimpl(wrapper=True)
        def append_messages(self, messages):
            yield
            raise MemoryFailed("the shelf is full")

    runner = start(Refuses, flows=ECHO, trace_plugins=True)
    with pytest.raises(MemoryFailed):
        runner.memory_of(LOCAL_IDENTITY).append(_message())
    lines = [line.partition(" -> ")[2] for line in capsys.readouterr().err.splitlines() if "append_messages(" in line]
    assert lines[0] == "Refuses (wrapper): entered"
    assert lines[-1] == "Refuses (wrapper): raised MemoryFailed: the shelf is full"


def test_an_identity_may_be_a_text_or_a_number(start):
    class Who:
        answer = None

        @hookimpl
        def identify(self, request):
            return self.answer

    plugin = Who()
    runner = start(plugin, auth="key")
    for plugin.answer in ("7", 7):
        assert runner.identify(None).id == "7"
    plugin.answer = 7.5
    with pytest.raises(Exception, match="The hook identify of plugin Who returned float"):
        runner.identify(None)


def test_what_a_module_marks_is_found_as_pluggy_finds_it():
    class Kept:
        @hookimpl
        def method(self):
            pass

        @classmethod
        @hookimpl
        def of_class(cls):
            pass

    def unmarked():
        pass

    @functools.wraps(Kept.method)
    def wrapped():
        pass

    module = ModuleType("marks")
    vars(module).update(
        function=hookimpl(lambda: None),
        static=staticmethod(hookimpl(lambda: None)),
        marked_static=hookimpl(staticmethod(lambda: None)),
        bound=Kept().method,
        bound_to_class=Kept.of_class,
        wrapped=wrapped,
        unmarked=unmarked,
        unmarked_static=staticmethod(unmarked),
        kind=Kept,
        value=3,
        partial=functools.partial(Kept.method, None),
    )
    ours, plain = PluginManager().pm, pluggy.PluginManager(PROJECT)
    found = {name: ours.parse_hookimpl_opts(module, name) for name in dir(module)}
    assert found == {name: plain.parse_hookimpl_opts(module, name) for name in dir(module)}
    marked = {name for name, options in found.items() if options is not None}
    assert marked == {"function", "static", "marked_static", "bound", "bound_to_class", "wrapped"}
