"""The tables in README and docs name everything that there is, and nothing that there is not."""

from __future__ import annotations

import re

import pytest

from flowrunner.app import create_app
from flowrunner.settings import PREFIX
from tests.project.expected import (
    all_settings,
    command_row,
    commands,
    declared_routes,
    error_codes,
    hook_names,
    hook_signatures,
    route_row,
    settings_row,
    sources,
)
from tests.project.pages import ROOT, keys, page_name, pages
from tests.project.tables import written_anew

#: The routes that answer whatever no other route does.
_CATCH_ALL = ("nothing_here", "nothing_at_root", "static")

#: Environment variables of the prefix's look that are no settings, each with its reason.
_NO_SETTINGS = {"SUPPORT_FLOWRUNNER_MEMORY": "the example of a second runner's prefix"}


@pytest.fixture(scope="module")
def table():
    return keys()


@pytest.fixture(scope="module")
def lines():
    return {line for path in pages() for line in path.read_text("utf-8").splitlines()}


@pytest.fixture(scope="module")
def routes(tmp_path_factory):
    """Return ``METHOD /path`` of every route, with everything optional switched on."""
    app = create_app(data_dir=tmp_path_factory.mktemp("data"), playground=True, metrics=True, memory="in-memory")
    return {
        f"{method} {_written(rule.rule)}"
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if not rule.endpoint.endswith(_CATCH_ALL)
    }


def _written(rule):
    """Return a rule as the docs write it: ``/flows/{flow_id}``, whatever the converter."""
    return re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", rule)


@pytest.mark.parametrize("setting", all_settings(), ids=lambda setting: setting.name)
def test_every_setting_has_its_row(setting, lines):
    assert settings_row(setting) in lines, f"add this row to docs/settings.md:\n{settings_row(setting)}"


def test_every_setting_that_the_docs_name_is_there():
    known = {PREFIX + setting.name for setting in all_settings()}
    declared = r"""Setting\(\s*["']([A-Z_]+)["']"""
    for path in (ROOT / "examples").glob("*/flowrunner_*/__init__.py"):
        known |= {PREFIX + name for name in re.findall(declared, path.read_text("utf-8"))}
    for path in pages():
        text = path.read_text("utf-8")
        examples = {PREFIX + name for name in re.findall(declared, text)}
        for name in re.findall(r"\b(?:[A-Z]+_)?FLOWRUNNER_[A-Z_]*[A-Z]\b", text):
            known_here = name in known or name in examples or name in _NO_SETTINGS
            assert known_here, f"{page_name(path)} names {name}, which nobody declares"


@pytest.mark.parametrize(
    ("name", "command"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_has_its_row(name, command, lines):
    row = command_row(name, command)
    assert row in lines, f"add this row to docs/cli.md, or run just tables:\n{row}"


def test_every_command_in_the_tables_is_there(table):
    known = {command_row(*found).split("`")[1] for found in commands()}
    for key in table:
        if key.startswith("flowrunner "):
            assert key in known, f"the docs have a row for {key}, which is no command"


@pytest.mark.parametrize("route", declared_routes(), ids=lambda route: route.name)
def test_every_route_has_its_row(route, lines):
    row = route_row(route)
    assert row in lines, f"add this row to docs/api.md, or run just tables:\n{row}"


def test_rows_are_written_where_they_stand():
    page = "# Routes\n| route | what |\n| `GET /a` | old |\n| `GET /gone` | old |\ntext\n"
    text, missing = written_anew(page, {"GET /a": "| `GET /a` | new |", "GET /b": "| `GET /b` | new |"}, "GET /")
    assert text == "# Routes\n| route | what |\n| `GET /a` | new |\ntext\n"
    assert missing == ["| `GET /b` | new |"]


def test_every_route_is_declared(routes):
    assert routes == {f"{route.method} {route.shown_rule}" for route in declared_routes()}


def test_every_route_in_the_tables_is_there(routes, table):
    for key in table:
        if re.match(r"(GET|POST|PUT|PATCH|DELETE) /", key):
            assert key in routes, f"the docs have a row for {key}, which is no route"


@pytest.mark.parametrize("signature", hook_signatures())
def test_every_hook_has_its_row_with_its_exact_signature(signature, table):
    assert signature in table, f"add a row to docs/hooks.md: | `{signature}` | ... |"


def test_every_hook_in_the_tables_is_there():
    known = set(hook_signatures())
    # Functions of the same names stand on other pages.
    for key, found in keys("docs/hooks.md").items():
        if re.fullmatch(r"\w+\([\w, ]*\)", key) and key.partition("(")[0] in hook_names():
            assert key in known, f"the docs have a row for {key}; rows: {found}"


@pytest.mark.parametrize(("code", "status"), sorted(error_codes().items()))
def test_every_error_code_has_its_row(code, status, table):
    rows = [cells for cells in table.get(code, []) if len(cells) >= 3]
    assert rows, f"add a row to docs/errors.md: | `{code}` | {status} | ... |"
    assert any(cells[1] == str(status) for cells in rows), f"{code} has the status {status}"


def test_codes_that_views_write_themselves_have_their_rows(table):
    written = re.compile(r"""["']code["']: ["'](\w+)["']""")
    for path in sources():
        for code in written.findall(path.read_text("utf-8")):
            assert code in table, f"{path.relative_to(ROOT)} answers with the code {code}, which docs/errors.md lacks"


@pytest.mark.parametrize("hook", hook_names())
def test_every_hook_has_a_test_of_its_own(hook):
    wanted = re.compile(rf"^\s*def test_hook_{hook}\b", re.MULTILINE)
    found = [p for p in (ROOT / "tests").rglob("test_*.py") if wanted.search(p.read_text("utf-8"))]
    assert found, f"write test_hook_{hook}, which drives the hook through a real run (tests/project/test_hooks.py)"


def test_every_page_is_reached_from_the_index_and_every_link_leads_somewhere():
    docs = ROOT / "docs"
    for path in pages():
        if path not in (ROOT / "README.md", docs / "index.md"):
            # The index of a folder leads to its pages, and the index of all to that.
            folder = path.parent if path.name != "index.md" else docs
            index = (folder / "index.md").read_text("utf-8")
            assert f"]({path.relative_to(folder).as_posix()})" in index, (
                f"{folder.name}/index.md lacks {page_name(path)}"
            )
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text("utf-8")):
            if "://" not in target and not target.startswith("mailto:"):
                assert (path.parent / target).exists(), f"{page_name(path)} links to {target}, which is not there"
