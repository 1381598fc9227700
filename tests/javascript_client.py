"""The JavaScript client for Langflow, unchanged, as npm gives it out."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.npm_packages import install_package

PACKAGE, VERSION = "@datastax/langflow-client", "0.4.1"


class JavaScriptClient:
    """Runs modules in a folder in which the client is installed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, source: str, *arguments: str) -> Any:
        """Run the text of a module with Node and return the JSON that it prints."""
        # Other processes of the run have theirs.
        script = self._folder / f"script-{os.getpid()}.mjs"
        script.write_text(source, "utf-8")
        done = subprocess.run(
            ["node", str(script), *arguments],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def javascript_client(request: pytest.FixtureRequest) -> JavaScriptClient:
    """Install the client, for the tests that run with it; they are skipped where Node and npm are not installed."""
    return JavaScriptClient(install_package(request.config, PACKAGE, VERSION))
