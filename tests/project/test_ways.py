"""The ways through the code that docs/development.md shows: each file is there and imports the next."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "development.md").read_text("utf-8")


def ways():
    """Return the numbered lists of files, by the line that introduces each."""
    part = PAGE.split("## Three ways through the code")[1].split("\n## ")[0]
    found = {}
    for title, steps in re.findall(r"^(The way of .*):\n\n((?:\d+\. .*\n)+)", part, re.M):
        found[title] = re.findall(r"^\d+\. `([^`]+)`", steps, re.M)
    return found


def imports_of(path: Path) -> set[Path]:
    """Return the files of this project from which a file imports names."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        base = path.parent if node.level else ROOT
        parts = (node.module or "").split(".") if node.module else []
        place = base.joinpath(*parts)
        for candidate in (place.with_suffix(".py"), *(place / f"{alias.name}.py" for alias in node.names)):
            if candidate.is_file():
                found.add(candidate)
        package = place / "__init__.py"
        if package.is_file() and package != path:
            found.add(package)
    return found


def test_there_are_three_ways():
    assert set(ways()) == {"The way of one run", "The way of one message", "The way of one route"}


@pytest.mark.parametrize(
    ("file", "following"), [pair for steps in ways().values() for pair in zip(steps, steps[1:], strict=False)]
)
def test_each_file_imports_the_next(file, following):
    assert (ROOT / file).is_file() and (ROOT / following).is_file()
    assert ROOT / following in imports_of(ROOT / file), f"{file} does not import {following}"


@pytest.mark.parametrize("page", ["docs/development.md", "CONTRIBUTING.md"])
def test_places_that_the_page_names_are_there(page):
    text = (ROOT / page).read_text("utf-8")
    named = re.findall(r"`((?:flowrunner|plugins|tests|docs)/[\w/]*(?:\.py|\.md|/))`", text)
    assert named
    for name in named:
        assert (ROOT / name).exists(), f"{page} names {name}"


def test_the_daily_commands_are_those_of_the_justfile():
    shown = set(re.findall(r"^\| `just (\w+)", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.M))
    there = set(re.findall(r"^(\w+)[^:\n]*:$", (ROOT / "justfile").read_text("utf-8"), re.M))
    assert shown == there
