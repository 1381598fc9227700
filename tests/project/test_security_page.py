"""The page on security says what is so: its tests exist, and its table of authority is what the code decides."""

import re
from pathlib import Path

import pytest

from flowrunner.authority import Capability, may
from flowrunner.identity import LOCAL_IDENTITY, Identity

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))

#: The rows of the table, and somebody of each.
CALLERS = {
    "local user of an open server": LOCAL_IDENTITY,
    "API key": Identity("a", author=True),
    "key limited to flows": Identity("a", flows=frozenset({"one"})),
    "read-only key": Identity("a", read_only=True, author=True),
    "a user identified by the site": Identity("a", offers=lambda flow: True),
    "an admin acting as another owner": Identity("a", author=True, acting=True),
}


def test_tests_are_named():
    assert len(NAMED) > 30


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_the_page_names_is_there(path, name):
    assert re.search(rf"^\s*def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE), f"{path} has no {name}"


def test_every_row_of_the_known_kinds_names_a_test():
    rows = PAGE.split("## Known kinds of defects")[1].split("\n## ")[0].splitlines()
    rows = [row for row in rows if row.startswith("|")][2:]
    assert len(rows) > 15 and all("::test_" in row for row in rows)


@pytest.mark.parametrize("row", CALLERS)
def test_the_table_of_authority_is_what_is_decided(row):
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| {row}"))
    cells = [cell.strip() for cell in line.strip("|").split("|")][1:]
    for cell, capability in zip(cells, Capability, strict=True):
        some = may(CALLERS[row], capability, change=False)
        change = may(CALLERS[row], capability)
        if cell.startswith("reads"):
            assert some and not change, (row, capability)
        elif cell.startswith(("no", "with")):
            assert not some and not change, (row, capability)
        else:
            assert some and change, (row, capability)


def test_an_admin_is_one_by_a_key_or_by_the_sites_word():
    assert may(Identity("a", admin=True), Capability.ADMIN)
    assert not may(Identity("a", admin=True, flows=frozenset({"one"})), Capability.ADMIN)
    assert may(Identity("a", admin=True, read_only=True), Capability.ADMIN, change=False)
    assert not may(Identity("a", admin=True, read_only=True), Capability.ADMIN)
