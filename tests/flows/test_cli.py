"""``flowrunner check`` and ``flowrunner convert``."""

import json
import os

import pytest
from click.testing import CliRunner

from flowrunner.cli.check import check_command, convert_command
from flowrunner.flows.reading import read_flows
from tests.flows.exports import echo, native
from tests.flows.test_reading import packed


@pytest.fixture
def files(tmp_path):
    """Return a function that writes a file and returns its path."""

    def write(name, content):
        path = tmp_path / name
        if isinstance(content, (dict, list)):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def run(command, *arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def reports(*arguments):
    result = run(check_command, *arguments, "--json")
    return result.exit_code, json.loads(result.stdout)


def test_a_flow_that_can_run(files):
    path = files("good.json", native())
    status, (report,) = reports(path)
    assert status == 0
    assert report["file"] == path
    assert (report["name"], report["endpoint_name"], report["loads"], report["findings"]) == (
        "Native test",
        "good",
        True,
        [],
    )
    assert run(check_command, path).stdout == f"{path}: Native test can run.\n1 flow in 1 file: 1 can run.\n"


def test_a_flow_that_cannot_run(files):
    raw = native()
    raw["components"]["in"]["type"] = "Nosuch"
    status, (report,) = reports(files("bad.json", raw))
    assert status == 1
    assert report["loads"]
    (finding,) = report["findings"]
    assert (finding["code"], finding["vertex"], finding["type"], finding["level"]) == (
        "unknown-component",
        "in",
        "Nosuch",
        "error",
    )
    assert set(finding) == {"code", "vertex", "type", "message", "level", "needs"}


def test_a_report_for_each_flow(files):
    path = files("many.zip", packed({"a.json": native(name="A"), "b.json": "{", "c.json": {"flows": [echo(name="C")]}}))
    status, found = reports(files("one.json", native()), path)
    assert status == 1
    assert [(r["name"], r["loads"]) for r in found] == [
        ("Native test", True),
        ("A", True),
        ("b.json", False),
        ("C", True),
    ]


def test_folders_are_looked_into(files, tmp_path):
    files("a.json", native(name="A"))
    files("b.json", native(name="B"))
    files("c.txt", "?")
    status, found = reports(tmp_path)
    assert (status, [report["name"] for report in found]) == (0, ["A", "B"])


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"PK\x03\x04", b"[" * 100_000, b"null", b"[]", b'{"flows": []}', b"NaN", b'{"data": [{}]}', b"{}"],
)
def test_a_file_that_is_none_is_reported(files, content):
    path = files("x.json", content)
    status, (report,) = reports(path)
    assert status == 1
    assert (report["loads"], report["name"]) == (False, "x")
    assert [(f["code"], f["level"]) for f in report["findings"]] == [("unreadable", "error")]
    assert run(check_command, path).exit_code == 1


def test_a_file_that_is_not_there_or_may_not_be_read(files, tmp_path):
    status, found = reports(tmp_path / "nosuch.json", "/dev/null", "a\nb")
    assert status == 1
    assert [report["loads"] for report in found] == [False, False, False]


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    assert reports(tmp_path / "pipe.json")[0] == 1


def test_names_cannot_write_to_the_terminal(files):
    result = run(check_command, files("x.json", native(name="a\x1b[31mb\nc\u202ed")))
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
    assert r"a\x1b[31mb\nc\u202ed can run" in result.stdout


def test_a_component_that_stumbles_is_a_finding(files, tmp_path):
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "stumbling.py").write_text(
        "from flowrunner import Component, hookimpl\n"
        "class Stumbling(Component):\n"
        "    type_name = 'Stumbling'\n"
        "    def inputs_for(self, settings):\n"
        "        raise KeyError('oh')\n"
        "    def run(self, context, **values):\n"
        "        return {}\n"
        "@hookimpl\n"
        "def register_components(register):\n"
        "    register(Stumbling)\n"
    )
    (plugins / "broken.py").write_text("import nosuch_module\n")
    raw = native(components={"a": {"type": "Stumbling"}}, edges=[])
    result = run(check_command, files("x.json", raw), "--json", "--plugins-dir", plugins)
    assert "The plugin broken cannot be loaded" in result.stderr
    (report,) = json.loads(result.stdout)
    assert [f["code"] for f in report["findings"]] == ["refused"]
    assert "KeyError" in report["findings"][0]["message"]


def test_convert_to_standard_output(files):
    result = run(convert_command, files("x.json", echo()))
    assert result.exit_code == 0
    assert json.loads(result.stdout)["components"]["ChatInput-a"]["type"] == "ChatInput"


def test_convert_exactly_and_with_positions(files, tmp_path):
    result = run(convert_command, files("x.json", echo()), "-o", tmp_path / "out.json", "--exact", "--positions")
    assert (result.exit_code, result.stdout) == (0, "")
    (made,) = read_flows((tmp_path / "out.json").read_bytes())
    (flow,) = read_flows(echo())
    assert made.content_hash == flow.content_hash
    assert made.vertices[0].position == (1, 2)


def test_convert_several_flows_into_a_folder(files, tmp_path):
    flows = [native(name="../../evil"), native(name="same"), native(name="Same"), native(name="图")]
    path = files("x.json", {"flows": flows})
    result = run(convert_command, path, "-o", tmp_path / "out")
    assert result.exit_code == 0
    made = sorted(found.name for found in (tmp_path / "out").iterdir())
    assert made[:3] == sorted(made)[:3]
    assert {"evil.json", "same.json", "Same-2.json"} < set(made)
    assert len(made) == 4


def test_convert_replaces_no_file_unless_told_so(files, tmp_path):
    path = files("test-flow.json", echo())
    before = (tmp_path / "test-flow.json").read_bytes()
    (tmp_path / "link.json").symlink_to(path)
    for output in (tmp_path, path, tmp_path / "link.json"):
        result = run(convert_command, path, "-o", output, "--force")
        assert result.exit_code == 1 and "is the input file" in result.exception.message
    assert (tmp_path / "test-flow.json").read_bytes() == before
    several = files("several.json", {"flows": [native(name="new"), native(name="other")]})
    files("other.json", "mine")
    result = run(convert_command, several, "-o", tmp_path)
    assert result.exception.message == f"{tmp_path / 'other.json'} already exists; use --force to overwrite it."
    assert (tmp_path / "other.json").read_text() == "mine" and not (tmp_path / "new.json").exists()
    assert run(convert_command, several, "-o", tmp_path, "--force").exit_code == 0
    assert len(read_flows((tmp_path / "other.json").read_bytes())) == 1


@pytest.mark.parametrize(("flows", "output"), [([echo()], "gone/x.json"), ([native(), native()], "a-file/x")])
def test_convert_says_where_it_cannot_write(files, tmp_path, flows, output):
    files("a-file", "x")
    result = run(convert_command, files("x.json", flows), "-o", tmp_path / output)
    assert type(result.exception).__name__ == "FlowInvalid"
    assert f"{tmp_path / output}" in result.exception.message and "cannot be written" in result.exception.message


def test_convert_says_what_the_result_does_not(files):
    result = run(convert_command, files("x.json", echo(is_component=True)))
    assert "Test flow: The file is a saved component" in result.stderr


@pytest.mark.parametrize("content", ["{", {"flows": [native(), native()]}])
def test_convert_refuses_with_a_sentence(files, content):
    result = run(convert_command, files("x.json", content))
    assert result.exit_code == 1
    assert type(result.exception).__name__ == "FlowInvalid"
