"""The tools table of a component: which of its functions its author offers to an agent."""

from __future__ import annotations

import pytest

from flowrunner import Component, Input, Output
from flowrunner.flows.convert import convert_flow
from flowrunner.flows.reading import read_flow
from tests.engine.rig import Rig, make_flow


class Web(Component):
    """Fetch something in three ways."""

    type_name = "Web"
    inputs = (Input("url", tool=True, required=True),)
    outputs = (Output("data", "Data", aliases=("fetch_content",)), Output("text"), Output("rows", "Table"))

    def run(self, context, url):
        return {"data": {"at": url}, "text": f"text of {url}", "rows": [{"row": url}]}


class Lists(Component):
    """Say which tools came, and what they answer."""

    type_name = "Lists"
    inputs = (Input("tools", "Tool", many=True),)
    outputs = (Output("rows", "Table"),)

    def run(self, context, tools):
        return {"rows": [[t.name, t.description, t.answer({"url": "u"})] for t in tools]}


@pytest.fixture
def rig(tmp_path):
    made = Rig(tmp_path, components=(Web, Lists))
    yield made
    made.close()


def row(name, on=True, **more):
    return {"name": name, "description": f"Does {name}.", "status": on, **more}


DATA, TEXT, ROWS = '{"at": "u"}', "text of u", '[{"row": "u"}]'
ALL = '{"data": {"at": "u"}, "text": "text of u", "rows": [{"row": "u"}]}'
THREE = ["fetch_content", "fetch_content_text", "as_dataframe"]


def offered(rig, rows, **more):
    settings = {} if rows is None else {"tools_metadata": rows}
    vertices = [("web", "Web", settings, {"tool_mode": True, **more}), ("list", "Lists")]
    return rig.run(vertices, ["web.component_as_tool -> list.tools"]).output("list")["rows"]


def names(found):
    return [name for name, _, _ in found]


def test_every_row_that_is_on_is_a_tool_that_gives_its_own_output(rig):
    found = offered(rig, [row(name) for name in THREE])
    assert found == [[name, f"Does {name}.", said] for name, said in zip(THREE, [DATA, TEXT, ROWS], strict=True)]


def test_with_every_row_off_nothing_is_offered(rig):
    assert offered(rig, [row(name, on=False) for name in THREE]) == []


@pytest.mark.parametrize("on", [(0,), (1,), (2,), (0, 2), (1, 2)], ids=str)
def test_only_the_rows_that_are_on_are_offered(rig, on):
    found = offered(rig, [row(name, on=place in on) for place, name in enumerate(THREE)])
    assert [(name, said) for name, _, said in found] == [(THREE[i], (DATA, TEXT, ROWS)[i]) for i in on]


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        (None, [("Web", ALL)]),
        ([], [("Web", ALL)]),
        ("nonsense", [("Web", ALL)]),
        ([None, 3], []),
        ([row("look_up")], [("look_up", ALL)]),
        ([row("look_up", tags=["text"])], [("look_up", TEXT)]),
        ([row("renamed", tags=["rows"]), row("b", on=False)], [("renamed", ROWS)]),
        ([{"description": "no status and no name"}], [("Web", ALL)]),
        ([row("a"), row("b")], [("a", ALL), ("b", ALL)]),
        ([row("with spaces and ü"), row("x", on=None)], [("with_spaces_and", ALL)]),
        ([{"name": 3, "status": 1, "tags": "text"}], [("Web", ALL)]),
    ],
    ids=[
        "no table",
        "no rows",
        "no table at all",
        "no objects",
        "a name of the author's",
        "the tag names an output",
        "one of two",
        "a bare row",
        "rows that name no output",
        "odd letters",
        "odd values",
    ],
)
def test_rows_of_all_shapes(rig, rows, wanted):
    assert [(name, said) for name, _, said in offered(rig, rows)] == wanted


def test_a_tweak_switches_rows(rig):
    plan = rig.plan(
        [("web", "Web", {"tools_metadata": [row("a")]}, {"tool_mode": True}), ("list", "Lists")],
        ["web.component_as_tool -> list.tools"],
    )
    assert names(rig.run_plan(plan).output("list")["rows"]) == ["a"]
    assert rig.run_plan(plan, tweaks={"web": {"tools_metadata": [row("a", on=False)]}}).output("list")["rows"] == []


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("on", [(), (0,), (1, 2)], ids=str)
def test_the_native_form_says_the_same(rig, exact, on):
    rows = [row(name, on=place in on, args={"url": {}}) for place, name in enumerate(THREE)]
    vertices = [("web", "Web", {"tools_metadata": rows}, {"tool_mode": True}), ("list", "Lists")]
    flow = make_flow(vertices, ["web.component_as_tool -> list.tools"])
    written = convert_flow(flow, rig.registry, exact=exact)
    from flowrunner.engine.plan import make_plan

    again = make_plan(read_flow(written.document), rig.registry)
    assert names(rig.run_plan(again).output("list")["rows"]) == [THREE[i] for i in on]
    assert written.notes == ()
