"""Every code block of README and docs runs, or says why it cannot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from flowrunner.flows.check import check_flow
from flowrunner.flows.reading import FORM_KEYS, read_flows
from flowrunner.site.building import load_plugins
from tests.fork_server import FORK_SERVER
from tests.live_server import ROOT, clean_environment, make_key
from tests.project.pages import Block, blocks, page_name, pages

#: Languages of blocks that are not run but read, or only shown.
_READ = ("json", "toml")
_SHOWN = ("text", "html", "nginx", "ini", "javascript")
_RUN = ("python", "bash")

#: The command of the README that installs; the tests of serving run it.
_INSTALLS = "python3 -m venv .venv && .venv/bin/pip install"

#: Plugins of pytest that some packages bring for their own users; importing them takes seconds.
_NO_PLUGINS = "-p no:langsmith_plugin -p no:schemathesis"

_RUN_BLOCKS = """
import json, pathlib, sys
for place, text in json.loads(pathlib.Path(sys.argv[1]).read_text()):
    print(place, flush=True)
    exec(compile(text, place, "exec"), {"__name__": "__main__"})
"""

_PAGES = pages()
#: Pages whose blocks take long.
_DEAR = ("plugins.md",)


def _all_blocks() -> list[Block]:
    return [block for path in _PAGES for block in blocks(path)]


@pytest.fixture
def sandbox(tmp_path, open_server):
    """A folder with the examples in it, and an environment in which commands find the server and themselves."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    programs = tmp_path / "programs"
    programs.mkdir()
    if shutil.which("curl"):
        # An answer that is an error makes the block fail.
        (programs / "curl").write_text(f'#!/bin/sh\nexec {shutil.which("curl")} --fail-with-body "$@"\n')
        (programs / "curl").chmod(0o755)
    # Starting it takes a second each time; that it starts is what tests/serve and tests/cli show.
    FORK_SERVER.put_command(programs, clean_environment())
    data = tmp_path / "data"
    environment = clean_environment(FLOWRUNNER_DATA_DIR=str(data), PYTHONWARNINGS="error", PYTEST_ADDOPTS=_NO_PLUGINS)
    environment["PATH"] = f"{programs}{os.pathsep}{environment['PATH']}"
    return tmp_path, environment


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=pytest.mark.dear if path.name in _DEAR else ()) for path in _PAGES],
    ids=[page_name(path) for path in _PAGES],
)
def test_code_blocks_run(path, sandbox, open_server, request):
    folder, environment = sandbox
    found = [block for block in blocks(path) if not (block.not_run or block.elsewhere)]
    found = [block for block in found if not block.text.startswith(_INSTALLS)]
    if any("$KEY" in block.text for block in found):
        environment["KEY"] = make_key(Path(environment["FLOWRUNNER_DATA_DIR"]))
    if any("curl " in block.text for block in found) and not shutil.which("curl"):
        pytest.skip("curl is not installed")
    for block in found:
        if block.file:
            place = folder / block.file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(block.text, "utf-8")
    for language, group in groupby(found, key=lambda block: block.language):
        if language == "python":
            _run_python(list(group), folder, environment, open_server.url)
        elif language == "bash":
            for block in group:
                _run(
                    [shutil.which("bash"), "-euo", "pipefail", "-c", _aimed(block.text, open_server.url)],
                    block,
                    folder,
                    environment,
                )


def _aimed(text: str, url: str) -> str:
    """Lead calls of the usual address to the tests' own server, which knows none of the page's keys."""
    return text.replace("http://127.0.0.1:7860", url).replace(' -H "x-api-key: $KEY"', "")


def _run_python(found: list[Block], folder: Path, environment: dict[str, str], url: str) -> None:
    given = folder / "blocks.json"
    given.write_text(json.dumps([(str(block), _aimed(block.text, url)) for block in found]))
    _check(FORK_SERVER.run([_RUN_BLOCKS, given], environment, folder, "python"), found[0])


def _run(command: list[str], block: Block, folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )
    _check(done, block)


def _check(done: subprocess.CompletedProcess[str], block: Block) -> None:
    assert done.returncode == 0, f"{block} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"


def _json_blocks() -> Iterator[Block]:
    return (block for block in _all_blocks() if block.language == "json" and not block.not_run)


@pytest.mark.parametrize("block", list(_json_blocks()), ids=str)
def test_json_blocks_are_json_and_flows_can_be_read(block):
    value = json.loads(block.text)
    if isinstance(value, dict) and any(isinstance(value.get(key), (dict, list)) for key in FORM_KEYS):
        manager, _ = load_plugins({})
        own = {"Shout"}  # the component that docs/plugins.md makes
        for flow in read_flows(value, name_hint="flow"):
            found = [f for f in check_flow(flow, manager.registry) if f.level == "error" and f.type not in own]
            assert not [f for f in found if f.code != "refused" or not own], found


def test_toml_blocks_are_toml():
    tomllib = pytest.importorskip("tomllib")
    for block in _all_blocks():
        if block.language == "toml" and not block.not_run:
            tomllib.loads(block.text)


def test_every_block_has_a_language_that_is_run_or_read():
    for block in _all_blocks():
        assert block.language in (*_RUN, *_READ, *_SHOWN), f"{block} is of the language {block.language!r}"


def test_a_block_that_another_test_runs_names_that_test():
    for block in _all_blocks():
        assert not block.elsewhere or (ROOT / block.elsewhere).is_file(), f"{block}: there is no {block.elsewhere}"


def test_few_blocks_are_not_run_and_each_says_why():
    runnable = [block for block in _all_blocks() if block.language in (*_RUN, *_READ)]
    left_out = [block for block in runnable if block.not_run]
    assert all(len(block.not_run.split()) >= 4 for block in left_out), "say in a few words why a block is not run"
    assert len(left_out) <= len(runnable) * 0.2, f"too many blocks are not run: {', '.join(map(str, left_out))}"
