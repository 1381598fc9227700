"""Packages of npm, installed once per checkout whichever process of a run asks first."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest


def install_package(config: pytest.Config, name: str, version: str) -> Path:
    """Return the folder into which a package of npm is installed, with ``node_modules`` in it.

    Without Node and npm the tests that ask for it are skipped.
    """
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed (Debian: apt install nodejs npm)")
    assert config.cache is not None
    folder = Path(config.cache.mkdir(name.rpartition("/")[2]))
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Written last: a process may have been ended in the middle of it.
        whole = folder / "installed"
        if not whole.exists() or whole.read_text() != version:
            (folder / "package.json").write_text('{"type": "module", "private": true}')
            command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", f"{name}@{version}"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180)
            assert done.returncode == 0, f"npm could not install {name}:\n{done.stdout}{done.stderr}"
            whole.write_text(version)
    return folder
