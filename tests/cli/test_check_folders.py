"""``flowrunner check`` of folders: what is in them, and what else is."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from flowrunner.cli import cli
from flowrunner.errors import FlowInvalid

GOOD = {
    "name": "Good",
    "components": {"a": {"type": "ChatInput"}, "b": {"type": "ChatOutput"}},
    "edges": ["a.message -> b.input_value"],
}
UNKNOWN = {
    "name": "Odd",
    "components": {
        "a": {"type": "ChatInput"},
        "x": {"type": "Zebra", "settings": {"stripes": 3}},
        "b": {"type": "ChatOutput"},
    },
    "edges": ["a.message -> x.text", "x.out -> b.input_value"],
}


@pytest.fixture
def folder(tmp_path):
    def write(name, value):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value))

    write("good.json", GOOD)
    write("team/deep/good.json", GOOD)
    write("package.json", {"name": "site", "dependencies": {}})
    write("numbers.json", [1, 2])
    write("talk.json", {"format": 1, "flow": "good", "turns": []})
    write(".hidden/bad.json", "{")
    write("node_modules/x/bad.json", "{")
    return tmp_path, write


def check(*arguments):
    return CliRunner().invoke(cli, ["check", *map(str, arguments)])


def test_folders_in_folders_are_looked_into(folder):
    done = check(folder[0])
    assert done.exit_code == 0, done.output
    assert "2 flows in 2 files: 2 can run (3 JSON files of another kind)." in done.output
    assert len(json.loads(check(folder[0], "--json").output)) == 2


def test_what_an_unknown_component_needs_is_said(folder):
    folder[1]("odd.json", UNKNOWN)
    done = check(folder[0])
    assert done.exit_code == 1
    assert "needs a plugin with a component Zebra: inputs text; settings stripes; outputs out" in done.output
    assert "3 flows in 3 files: 2 can run, 1 cannot run" in done.output
    assert "No plugin offers Zebra (1)." in done.output


@pytest.mark.parametrize("value", ["{", {"component": {}}, {"flow": []}], ids=["no JSON", "a slip", "another slip"])
def test_what_looks_like_a_flow_is_read_as_one(folder, value):
    folder[1]("team/broken.json", value)
    done = check(folder[0])
    assert done.exit_code == 1
    assert "1 cannot be read" in done.output


def test_a_file_that_is_named_is_never_passed_over(folder):
    assert "cannot be read" in check(folder[0] / "package.json").output


def test_nothing_to_check_is_an_error(tmp_path):
    done = check(tmp_path)
    assert isinstance(done.exception, FlowInvalid) and "No flow found in" in done.exception.message
    (tmp_path / "package.json").write_text('{"name": 1}')
    assert "(1 JSON file of another kind)" in check(tmp_path).exception.message
