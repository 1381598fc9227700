"""The JavaScript client for Langflow, unchanged, as npm gives it out."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PACKAGE = "@datastax/langflow-client"
_SECONDS = 180


class JavaScriptClient:
    """Runs modules in a folder in which the client is installed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, source: str, *arguments: str) -> Any:
        """Run the text of a module with Node and return the JSON that it prints."""
        script = self._folder / "script.mjs"
        script.write_text(source, "utf-8")
        done = subprocess.run(
            ["node", str(script), *arguments],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def javascript_client(request: pytest.FixtureRequest) -> JavaScriptClient:
    """Install the client once per checkout; without Node and npm the tests that ask for it are skipped."""
    if not (shutil.which("npm") and shutil.which("node")):
        pytest.skip("node and npm are not installed (Debian: apt install nodejs npm)")
    assert request.config.cache is not None
    folder = Path(request.config.cache.mkdir("javascript-client"))
    if not (folder / "node_modules" / PACKAGE / "package.json").exists():
        (folder / "package.json").write_text('{"type": "module", "private": true}')
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", PACKAGE]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS)
        assert done.returncode == 0, f"npm could not install {PACKAGE}:\n{done.stdout}{done.stderr}"
    return JavaScriptClient(folder)
