"""The layers of the house: a module imports only from its own layer and those above it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "flowrunner"

#: Layers from top to bottom; a name is a module or a package of ``flowrunner``.
LAYERS = (
    {"errors", "text", "session", "addresses", "word"},
    {"memory", "vectors", "settings", "components", "identity", "outgoing", "authority", "shares"},
    {"hookspecs", "declarations", "registry", "plugins"},
    {"flows", "engine", "store"},
    {"runner", "runs", "telemetry", "integrations", "langflow", "testing", "scaffold"},
    {"web", "playground"},
    {"site", "extension", "app", "serving", "cli", "doctor"},
)

#: Imports that the picture above does not allow, each with its reason.
ALLOWED = {
    ("testing", "app"): "the fixtures for a site's tests make an app",
    ("testing", "site"): "the fixtures for a site's tests hand out the runner of its app",
}


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts)


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def layer_of(part: str) -> int:
    for number, names in enumerate(LAYERS):
        if part in names:
            return number
    raise AssertionError(f"flowrunner.{part} has no layer: say in tests/test_layers.py where it belongs")


def imported_parts(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "flowrunner" else [f"flowrunner.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if (
                parts[0] == "flowrunner"
                and len(parts) > 1
                and (PACKAGE / parts[1]).exists() | (PACKAGE / f"{parts[1]}.py").exists()
            ):
                found.add(parts[1])
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_from_layers_above(path):
    part = part_of(path)
    if part == "__init__":
        return
    for other in imported_parts(path) - {part}:
        if (part, other) not in ALLOWED:
            assert layer_of(other) <= layer_of(part), f"flowrunner.{part} may not import flowrunner.{other}"


def test_the_documented_layers_are_these_and_every_module_has_one():
    lines = (ROOT / "docs" / "development.md").read_text("utf-8").split("## Layers")[1].splitlines()
    rows = [line.split("|")[2] for line in lines if line.startswith("| ") and line[2].isdigit()]
    assert tuple(set(re.findall(r"`(\w+)`", row)) for row in rows) == LAYERS
    there = {part_of(path) for path in modules()} - {"__init__"}
    assert there == set().union(*LAYERS)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_flask_is_imported_only_from_the_web_layer_down(path):
    part = part_of(path)
    if part == "__init__" or layer_of(part) >= layer_of("web") or part in ("testing", "integrations", "scaffold"):
        return
    tree = ast.parse(path.read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] != "flask", f"{path.name} imports flask"
        if isinstance(node, ast.Import):
            assert all(alias.name.split(".")[0] != "flask" for alias in node.names), f"{path.name} imports flask"


def test_first_party_plugins_use_only_public_names():
    import flowrunner

    for path in sorted((ROOT / "plugins").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "flowrunner":
                assert node.module == "flowrunner", f"{path.relative_to(ROOT)} imports {node.module}"
                for alias in node.names:
                    assert alias.name in flowrunner.__all__, f"{path.relative_to(ROOT)} imports {alias.name}"


def test_importing_flowrunner_imports_neither_flask_nor_alembic():
    import subprocess
    import sys

    code = "import sys, flowrunner; print([m for m in ('flask', 'alembic', 'gunicorn') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
