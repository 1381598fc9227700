"""One question for each row of a table, and branches that a model chooses."""

from __future__ import annotations

import pytest

from flowrunner import ComponentFailed
from flowrunner.testing.model_script import say

ROUTES = [
    {"route_category": "Praise", "route_description": "happy", "output_value": ""},
    {"route_category": "Complaint", "route_description": "angry", "output_value": "we are sorry"},
]


def batch(house, rows, **settings):
    return house.run([("b", "BatchRunComponent", {"df": rows, **settings})], input_value=None).output("b")


def test_each_row_is_asked_about(house, model):
    rows = [{"text": f"row {n}", "n": n} for n in range(12)]
    found = batch(house, rows, column_name="text", system_message="be brief", output_column_name="said")
    assert [(row["n"], row["said"]) for row in found["batch_results"]] == [
        (n, "Ahoy matey, the sky is blue.") for n in range(12)
    ]
    asked = {body["messages"][1]["content"] for body in model.asked[-12:]}
    assert asked == {f"row {n}" for n in range(12)}


def test_a_column_that_is_not_there(house):
    with pytest.raises(ComponentFailed, match="no column wrong; it has text"):
        batch(house, [{"text": "a"}], column_name="wrong")


def route(house, **settings):
    vertices = [
        ("in", "ChatInput"),
        ("r", "SmartRouter", {"routes": ROUTES, **settings}),
        ("praise", "ChatOutput"),
        ("complaint", "ChatOutput"),
        ("rest", "ChatOutput"),
    ]
    edges = [
        "in.message -> r.input_text",
        "r.category_1_result -> praise.input_value",
        "r.category_2_result -> complaint.input_value",
        "r.default_result -> rest.input_value",
    ]
    result = house.run(vertices, edges, input_value="hello")
    return [(v.vertex_id, v.message.text) for v in result.reported]


@pytest.mark.parametrize(
    ("said", "branches"),
    [
        ("Praise", [("praise", "hello")]),
        ('"complaint".', [("complaint", "we are sorry")]),
        ("It is a Complaint, I think.", [("complaint", "we are sorry")]),
        ("NONE", [("rest", "hello")]),
        ("<think>Praise? No.</think>\nComplaint", [("complaint", "we are sorry")]),
        ("Praise? No.\n</think>complaint", [("complaint", "we are sorry")]),
        ("It could be Praise.\n\nComplaint", [("complaint", "we are sorry")]),
        ("**Category: Complaint**", [("complaint", "we are sorry")]),
        ('{"category": "Complaint"}', [("complaint", "we are sorry")]),
        ("COMPLAINT!", [("complaint", "we are sorry")]),
        # Not the one whole word.
        ("Praise or Complaint", [("rest", "hello")]),
        ("Complaints, mostly", [("rest", "hello")]),
        ("non-Praise", [("rest", "hello")]),
        ("NONE, it is no Complaint", [("rest", "hello")]),
    ],
)
def test_the_branch_that_the_model_names(house, model, said, branches):
    model.script(say(said))
    assert route(house, enable_else_output=True) == branches


def test_no_branch_where_none_fits(house, model):
    model.script(say("NONE"))
    assert route(house) == []


def test_a_category_within_another(house, model):
    routes = [{"route_category": name} for name in ("Billing", "Billing dispute", "C++", "Ärger")]
    for said, place in (
        ("Billing", 1),
        ("It is a billing dispute.", 2),
        ("billing dispute", 2),
        ("I say C++", 3),
        ("ÄRGER", 4),
        ("Billing, or a Billing dispute", None),
    ):
        model.script(say(said))
        found = house.run([("r", "SmartRouter", {"routes": routes, "input_text": "x"})]).output("r")
        assert list(found) == ([] if place is None else [f"category_{place}_result"]), said
