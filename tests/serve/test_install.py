"""What an installed wheel holds, and the README's two commands on a fresh clone."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.live_server import ROOT, clean_environment
from tests.project.pages import blocks
from tests.project.test_tools import INSTALL_AND_SERVE, INSTALL_AND_TEST


def _run(command, folder, **options):
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1800, **options
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build wheel and sdist of the files as git has them, and of new ones beside them."""
    source = tmp_path_factory.mktemp("source")
    listed = _run(["git", "ls-files", "-co", "--exclude-standard"], ROOT).splitlines()
    for name in listed:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    out = tmp_path_factory.mktemp("dist")
    _run([sys.executable, "-m", "hatchling", "build", "-d", str(out)], source)
    return {path.suffix: path for path in out.iterdir()}


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """Install the wheel alone into a fresh environment, which finds its dependencies where the tests have them."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "--quiet"]
    _run([*pip, "install", "--no-deps", "--no-index", str(built[".whl"])], folder)
    # On this path nothing of an editable install is found: only the site module reads its files.
    libraries = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    environment = clean_environment(PYTHONPATH=os.pathsep.join(libraries), FLOWRUNNER_DATA_DIR=str(folder / "data"))
    environment["PATH"] = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return folder, environment


def test_the_command_is_there(installed):
    folder, environment = installed
    assert re.fullmatch(
        r"flowrunner, version \d+\.\d+\.\d+\S*\n", _run(["flowrunner", "--version"], folder, env=environment)
    )
    listed = _run(["flowrunner", "plugins"], folder, env=environment)
    for name in ("components", "sqlite", "file-json", "in-memory"):
        assert re.search(rf"^loaded +{name} ", listed, re.MULTILINE), listed


def test_what_is_imported_is_the_wheel_and_nothing_that_should_not_be(installed):
    folder, environment = installed
    code = """
import importlib.util, json, sys
found = {name: importlib.util.find_spec(name) for name in sys.argv[1:]}
print(json.dumps({name: spec and spec.origin for name, spec in found.items()}))
"""
    names = ["flowrunner", "flowrunner_components", "flowrunner_sqlite"]
    names += ["plugins", "tests", "examples", "benchmarks", "docs", "wsgi"]

    places = json.loads(_run([str(folder / "bin" / "python"), "-c", code, *names], folder, env=environment))
    for name in names[:3]:
        assert places[name].startswith(str(folder)), places
    assert [places[name] for name in names[3:]] == [None] * len(names[3:])


def test_a_flow_runs_with_the_wheel_alone(installed):
    folder, environment = installed
    flow = str(ROOT / "examples" / "flows" / "basic-chat.json")
    assert _run(["flowrunner", "run", flow, "Hello", "--session-id", "s"], folder, env=environment) == "Hello\n"
    assert "can run" in _run(["flowrunner", "check", flow], folder, env=environment)
    assert "newest" in _run(["flowrunner", "db", "current"], folder, env=environment)


def test_the_wheel_holds_the_packages_and_what_they_need(built):
    with zipfile.ZipFile(built[".whl"]) as wheel:
        names = wheel.namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    folders = {path.name for path in (ROOT / "plugins").iterdir() if (path / "__init__.py").exists()}
    assert tops == {"flowrunner", *folders}
    for wanted in (
        "flowrunner/py.typed",
        "flowrunner/flows/native.schema.json",
        "flowrunner/store/migrations/0001_tables.py",
    ):
        assert wanted in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_the_sdist_holds_everything_that_the_tests_need(built):
    with tarfile.open(built[".gz"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for wanted in (
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "wsgi.py",
        "tests/conftest.py",
        "examples/flows/basic-chat.json",
    ):
        assert wanted in names


@pytest.mark.long
def test_the_readme_on_a_fresh_clone(tmp_path, start_server):
    """Both commands, typed as they stand, in a clone and an environment that know nothing of this one."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 7860)) == 0:
            pytest.skip("something listens on port 7860 of this machine")
    clone = tmp_path / "clone"
    _run(["git", "clone", "-q", str(ROOT), str(clone)], tmp_path)
    environment = {key: value for key, value in clean_environment(PIP_QUIET="2").items() if key != "VIRTUAL_ENV"}
    environment["PATH"] = os.pathsep.join(
        p for p in environment["PATH"].split(os.pathsep) if p != str(Path(sys.executable).parent)
    )
    server = start_server(["bash", "-c", INSTALL_AND_SERVE], ready=False, folder=clone, environment=environment)
    server.wait_for(lambda: "try: curl" in server.output, "the greeting", seconds=900)
    server.wait_until_ready()
    call = next(block.text for block in blocks(ROOT / "README.md") if block.text.startswith("curl "))
    assert '"session_id":"my_custom_session_value"' in _run(["bash", "-c", call], clone)
    server.interrupt()
    shutil.rmtree(clone / ".venv")
    short = INSTALL_AND_TEST + " -q tests/flows tests/components"
    assert " passed" in _run(["bash", "-c", short], clone, env=environment)
