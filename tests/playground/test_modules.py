"""The logic of the page's modules, run by Node's own test runner."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from flowrunner.playground.page import FOLDER
from tests.live_server import clean_environment

NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="Node is not there")
@pytest.mark.parametrize("name", sorted(path.name for path in (Path(__file__).parent / "modules").glob("*.test.mjs")))
def test_modules(name, tmp_path):
    # Node reads a .js file as a module only where a package says so.
    (tmp_path / "package.json").write_text('{"type": "module"}')
    for path in FOLDER.glob("*.js"):
        shutil.copy(path, tmp_path)
    ran = subprocess.run(
        [NODE, "--test", str(Path(__file__).parent / "modules" / name)],
        env=clean_environment(MODULES=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
