"""``flowrunner new component`` and ``new plugin``: what they write passes its tests at once."""

from __future__ import annotations

import ast
import json

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as some

from flowrunner import BadRequest
from flowrunner.cli import cli
from flowrunner.declarations import make_component
from flowrunner.scaffold import write_component, write_plugin_package
from flowrunner.scaffold.component import _component, _test
from flowrunner.scaffold.ports import find_node
from tests.scaffold.test_memory_package import run

MARK = "never-copied-7f3a"


def field(kind, **more):
    return {"type": kind, "value": MARK, "display_name": "x", **more}


NODE = {
    "display_name": "Weather \U0001f300",
    "description": 'Look up """the""" weather\\ of {place}.\nA second line.',
    "template": {
        "_type": "Component",
        "code": {"type": "code", "value": f"import os; os.system({MARK!r})"},
        "place": field("str", input_types=["Message"], required=True, tool_mode=True),
        "api_key": field("str", password=True, load_from_db=True, input_types=["Message"]),
        "days": field("int"),
        "factor": field("slider"),
        "exact": field("bool"),
        "rows": field("other", input_types=["DataFrame", "Data"]),
        "model": field("other", input_types=["LanguageModel"], required=True),
        "places": field("str", list=True),
        "options": field("NestedDict"),
        "columns": field("table"),
        "odd": field("neverheard"),
        "class": field("str"),
        'x"): import os': field("str"),
        "broken": "no field",
    },
    "outputs": [
        {"name": "forecast", "types": ["Message"]},
        {"name": "data", "types": ["JSON"]},
        {"name": "table", "types": ["DataFrame"]},
        {"name": "tool", "types": ["Tool"]},
        {"name": "what", "types": ["Neverheard"]},
        {"name": 'y"]; import os', "types": ["Message"]},
        "broken",
    ],
}


def flow_with(node, kind="WeatherLookup"):
    nodes = [{"id": "a", "data": {"type": "ChatInput", "node": {}}}, {"id": "b", "data": {"type": kind, "node": node}}]
    return json.dumps({"name": "f", "data": {"nodes": nodes, "edges": []}}).encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a component of a flow, and one from nothing."""
    place = tmp_path_factory.mktemp("new")
    (place / "flow.json").write_bytes(flow_with(NODE))
    for arguments in (["WeatherLookup", "--from", str(place / "flow.json")], ["Plain"]):
        done = CliRunner().invoke(cli, ["new", "component", *arguments, "--dir", str(place / "plugins")])
        assert done.exit_code == 0, done.output
    return place / "plugins"


def declared(text):
    """Return the component class of a text that this test wrote."""
    space = {}
    exec(compile(text, "component.py", "exec"), space)  # noqa: S102
    return next(
        v for n, v in space.items() if isinstance(v, type) and v.__module__ == "builtins" or n == "WeatherLookup"
    )


def test_inputs_and_outputs_are_those_of_the_node(folder):
    text = (folder / "weather_lookup.py").read_text()
    made = make_component(declared(text))
    inputs = {i.name: (i.type, i.required, i.many, i.tool) for i in made.inputs}
    assert inputs == {
        "place": ("Message", True, False, True),
        "api_key": ("secret", False, False, False),
        "days": ("int", False, False, False),
        "factor": ("float", False, False, False),
        "exact": ("bool", False, False, False),
        "rows": ("Table", False, False, False),
        "model": ("LanguageModel", True, False, False),
        "places": ("str", False, True, False),
        "options": ("dict", False, False, False),
        "columns": ("list", False, False, False),
        "odd": ("any", False, False, False),
        "class": ("str", False, False, False),
    }
    assert {i.name: i.accepts for i in made.inputs if i.accepts} == {"rows": ("Data",)}
    outputs = {o.name: o.type for o in made.outputs}
    assert outputs == {"forecast": "Message", "data": "Data", "table": "Table", "tool": "Tool", "what": "Message"}
    assert made.display_name == "Weather \U0001f300"


def test_no_code_and_no_value_of_the_flow_is_copied(folder):
    for path in folder.rglob("*.py"):
        text = path.read_text()
        assert MARK not in text and "os.system" not in text and "import os" not in text


def test_their_tests_pass(folder):
    shown = run(folder.parent, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "plugins")
    assert "4 passed" in shown


def test_they_are_clean_code(folder):
    pytest.importorskip("ruff")
    rules = ("--isolated", "--line-length", "120", "--no-cache")
    run(folder, "-m", "ruff", "check", *rules, "--select", "B,E,F,I,UP,W", ".")
    run(folder, "-m", "ruff", "format", *rules, "--check", ".")


def test_a_server_finds_them(folder, tmp_path):
    shown = run(
        folder, "-m", "flowrunner.cli", "plugins", "--plugins-dir", str(folder), FLOWRUNNER_DATA_DIR=str(tmp_path)
    )
    assert "loaded   weather_lookup" in shown and "loaded   plain" in shown


@pytest.mark.parametrize("name", ["", " ", "1", "../x", "class", "x" * 101, "-", "ü é"])
def test_a_name_that_is_none_is_refused(name, tmp_path):
    with pytest.raises(BadRequest, match="is not a component type"):
        write_component(name, tmp_path / "p")
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_left(tmp_path):
    write_component("MyLookup", tmp_path)
    with pytest.raises(BadRequest, match="already exists"):
        write_component("MyLookup", tmp_path)
    (tmp_path / "other.py").write_text("mine")
    write_component("Another", tmp_path)
    assert (tmp_path / "other.py").read_text() == "mine"


def test_a_type_that_is_taken_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["new", "component", "ChatInput"])
    assert "A component of type ChatInput already exists" in str(done.exception)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flow", "said"),
    [
        (b"no json", "not an exported flow"),
        (b"{}", "not an exported flow"),
        (b'{"data": {"nodes": [], "edges": []}}', "not an exported flow"),
        (b'{"components": {"a": {"type": "MyLookup"}}}', "native form"),
        (flow_with(NODE, "Other"), "has no node of the type MyLookup; it has ChatInput, Other"),
        (
            b'{"data": {"nodes": [1, {"data": 2}, {"data": {"node": {}, "type": 3}}], "edges": []}}',
            "not an exported flow",
        ),
        (flow_with({"template": {f"f{n}": field("str") for n in range(501)}}, "MyLookup"), "more than 500"),
    ],
    ids=range(7),
)
def test_a_flow_without_such_a_node_is_refused(flow, said, tmp_path):
    with pytest.raises(BadRequest, match=said):
        write_component("MyLookup", tmp_path / "p", flow=flow)
    assert not list(tmp_path.iterdir())


def test_a_node_of_a_group_is_found():
    inner = {"data": {"nodes": [{"id": "b", "data": {"type": "WeatherLookup", "node": NODE}}], "edges": []}}
    group = flow_with({"flow": inner, "template": {}}, "Group")
    assert find_node(group, "WeatherLookup").outputs[0].name == "forecast"


words = some.text(max_size=12) | some.sampled_from(['"""', "\\", "'", '"', "a\nb", "{", "%", "\ud800"[:0], "#"])
field_values = some.dictionaries(
    some.sampled_from(["type", "input_types", "required", "list", "password", "value", "tool_mode"]),
    words | some.booleans() | some.none() | some.lists(words | some.sampled_from(["Message", "Data"]), max_size=3),
)


output = some.fixed_dictionaries({"name": words, "types": some.lists(words, max_size=2)})


@settings(max_examples=150, deadline=None)
@given(
    node=some.fixed_dictionaries(
        {},
        optional={
            "display_name": words | some.none(),
            "description": words | some.integers(),
            "template": some.dictionaries(words, field_values | words, max_size=4) | words,
            "outputs": some.lists(output | words, max_size=3) | words,
        },
    ),
    name=some.from_regex(r"[A-Z][A-Za-z ]{0,8}", fullmatch=True),
)
def test_nothing_in_a_flow_becomes_code(node, name):
    found = find_node(flow_with(node, name), name)
    for text in (_component(name, "Made", found), _test(name, "Made", "made", found)):
        tree = ast.parse(text)
        called = {ast.unparse(one.func) for one in ast.walk(tree) if isinstance(one, ast.Call)}
        known = {
            "Input",
            "Output",
            "Message",
            "text_of",
            "register",
            "create_app",
            "runner_of",
            "component",
            "set",
            "Path",
            "runner.plugins.registry.component",
            "runner.close",
            "Path(__file__).resolve",
            "found.run",
            "type(found).__module__.endswith",
            "type",
        }
        assert called <= known
        imported = {one.module for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)}
        assert imported <= {"flowrunner", "flowrunner.app", "pathlib"}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    place = tmp_path_factory.mktemp("package") / "rules"
    done = CliRunner().invoke(cli, ["new", "plugin", "house-rules", "--dir", str(place)])
    assert done.exit_code == 0, done.output
    assert f"cd {place} && pip install" in done.output
    return place


def test_a_plugin_is_a_whole_package(package):
    assert sorted(path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()) == [
        "README.md",
        "flowrunner_house_rules/__init__.py",
        "flowrunner_house_rules/component.py",
        "pyproject.toml",
        "tests/test_plugin.py",
    ]
    assert not any("${" in path.read_text() for path in package.rglob("*") if path.is_file())


def test_tests_of_a_plugin_pass(package):
    shown = run(package, "-m", "pytest", "-q", "-p", "no:cacheprovider", PYTHONPATH=str(package))
    assert "3 passed" in shown


def test_a_plugin_is_clean_code(package):
    pytest.importorskip("ruff")
    rules = ("--isolated", "--line-length", "120", "--no-cache")
    run(package, "-m", "ruff", "check", *rules, "--select", "B,E,F,I,UP,W", ".")
    run(package, "-m", "ruff", "format", *rules, "--check", ".")


def test_a_plugin_is_found_once_it_is_installed(package, tmp_path):
    pytest.importorskip("hatchling")
    target = tmp_path / "site"
    pip = ("-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target))
    run(package, *pip, "--disable-pip-version-check", ".", PYTHONWARNINGS="default")
    shown = run(package, "-m", "flowrunner.cli", "plugins", PYTHONPATH=str(target), FLOWRUNNER_DATA_DIR=str(tmp_path))
    assert "loaded   house-rules (flowrunner-house-rules 0.1.0)" in shown


@pytest.mark.parametrize("name", ["", "My-Rules", "my_rules", "../x", "1x", "x-", "x" * 41])
def test_a_plugin_wants_a_name(name, tmp_path):
    with pytest.raises(BadRequest, match="A plugin must be named in lower-case letters"):
        write_plugin_package(name, tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_a_plugin_hides_no_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["new", "plugin", "models"])
    assert "A package flowrunner_models already exists" in str(done.exception)
    assert not list(tmp_path.iterdir())
