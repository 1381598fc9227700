"""The files of the examples that need no server: what the programs that read them say of them."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.deploying.nginx import EXAMPLES
from tests.live_server import ROOT
from tests.project.expected import all_settings
from tests.project.pages import blocks

PAGE = ROOT / "docs" / "deploying.md"
ENVIRONMENT = EXAMPLES / "flowrunner.env"


@pytest.fixture
def unit(tmp_path):
    """The unit with a program that is there, since systemd looks for it."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    path = tmp_path / "flowrunner.service"
    path.write_text((EXAMPLES / "flowrunner.service").read_text().replace("/opt/flowrunner/bin/gunicorn", "/bin/true"))
    return path


def test_systemd_finds_nothing_wrong_with_the_unit(unit):
    said = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    ours = [line for line in (said.stdout + said.stderr).splitlines() if "flowrunner.service" in line]
    assert ours == []


def test_little_of_the_machine_is_open_to_the_service(unit):
    """Systemd rates exposure from 0 to 10; a service that says nothing has 9.6."""
    said = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=20", unit], capture_output=True, text=True
    )
    assert said.returncode == 0, said.stdout + said.stderr


def test_the_page_shows_the_files_as_they_are():
    shown = [block.text for block in blocks(PAGE)]
    settings = [line for line in ENVIRONMENT.read_text().splitlines()[1:] if line]
    assert any(block.splitlines() == settings for block in shown)
    [snippet] = [block.text for block in blocks(PAGE) if block.language == "nginx"]
    lines = (EXAMPLES / "nginx-proxy.conf").read_text().splitlines()
    assert [line for line in snippet.splitlines() if line not in lines] == []


def test_settings_are_settings():
    known = {f"FLOWRUNNER_{setting.name}" for setting in all_settings()}
    for name in ("flowrunner.env", "Containerfile", "flowrunner.service", "nginx.conf", "nginx-proxy.conf"):
        named = set(re.findall(r"FLOWRUNNER_[A-Z_]*[A-Z]", (EXAMPLES / name).read_text()))
        assert named <= known, named - known


def test_the_image_takes_what_the_build_needs_and_is_not_root():
    lines = (EXAMPLES / "Containerfile").read_text().splitlines()
    copied = {
        name for line in lines if line.startswith("COPY ") and "--from" not in line for name in line.split()[1:-1]
    }
    assert {"pyproject.toml", "README.md", "LICENSE", "flowrunner", "plugins"} == copied
    assert all((ROOT / name).exists() for name in copied)
    instructions = [line.split()[0] for line in lines if re.match(r"[A-Z]+ ", line)]
    last_stage = instructions[len(instructions) - instructions[::-1].index("FROM") :]
    assert last_stage.count("VOLUME") == 1 and "HEALTHCHECK" in last_stage
    assert "USER 10001:10001" in lines and last_stage.index("USER") < last_stage.index("CMD")


def test_commands_of_the_service_have_its_settings_and_show_none_of_them(tmp_path):
    [typed] = [block.text for block in blocks(PAGE) if "as_service()" in block.text]
    function = typed[: typed.index("\n}\n") + 3].replace("/etc/flowrunner", str(tmp_path))
    (tmp_path / "flowrunner.env").write_text("# settings\nFLOWRUNNER_WORKERS=2\nOPENAI_API_KEY='sk-secret $x *  y'\n")
    programs = {
        "runuser": f'printf "%s\\n" "$@" > {tmp_path}/shown; shift 3; exec "$@"',
        "flowrunner": 'env; printf "<%s>" "$@"',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    command = f"{function}\nas_service keys 'a b'".replace("/opt/flowrunner/bin", str(tmp_path))
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    said = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, check=True)
    assert {"FLOWRUNNER_WORKERS=2", "OPENAI_API_KEY=sk-secret $x *  y"} <= set(said.stdout.splitlines())
    assert said.stdout.endswith("<keys><a b>")
    assert "sk-secret" not in (tmp_path / "shown").read_text()
