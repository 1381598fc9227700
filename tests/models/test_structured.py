"""JSON of a given shape."""

from __future__ import annotations

import pytest
from flowrunner_models.structure import misfit, schema_of

from flowrunner import ComponentFailed
from flowrunner.testing.model_script import Fail, say

ROWS = [
    {"name": "title", "type": "str", "description": "the title", "multiple": "False"},
    {"name": "year", "type": "int", "description": "", "multiple": False},
    {"name": "tags", "type": "str", "description": "", "multiple": "True"},
]
BOOK = '{"title": "a", "year": 1999, "tags": ["x"]}'
ONE = f'{{"objects": [{BOOK}]}}'


def structured(house, output="structured_output", rows=ROWS, **settings):
    vertices = [
        ("in", "ChatInput"), ("s", "StructuredOutput", {"output_schema": rows, **settings}), ("out", "ChatOutput"),
    ]  # fmt: skip
    edges = ["in.message -> s.input_value", f"s.{output} -> out.input_value"]
    return house.run(vertices, edges, input_value="a book").output("s")


def test_one_object(house, model):
    model.script(say(ONE))
    found = structured(house)
    assert found["structured_output"] == {"title": "a", "year": 1999, "tags": ["x"]}
    assert found["dataframe_output"] == [found["structured_output"]]
    asked = model.asked[-1]["response_format"]["json_schema"]
    assert asked["strict"] is True
    item = asked["schema"]["properties"]["objects"]["items"]
    assert item["properties"]["tags"] == {"type": "array", "items": {"type": "string"}}


def test_several_objects(house, model):
    model.script(say(f'{{"objects": [{BOOK}, {BOOK}]}}'))
    assert len(structured(house)["structured_output"]["results"]) == 2


def test_json_in_words_will_do(house, model):
    model.script(say('Sure!\n```json\n{"title": "a", "year": 1, "tags": []}\n```\nThere you are.'))
    assert structured(house)["structured_output"]["year"] == 1


def test_what_does_not_fit_is_handed_back_once(house, model):
    model.script(say('{"objects": [{"title": "a"}]}'), say(ONE))
    assert structured(house)["structured_output"]["year"] == 1999
    assert "lacks year" in model.asked[-1]["messages"][-1]["content"]
    model.script(say("no"), say("no"))
    with pytest.raises(ComponentFailed, match="no JSON that fits"):
        structured(house)


def test_a_server_that_takes_no_schema(house, model):
    model.script(Fail(400, "response_format is not supported"), say(ONE))
    assert structured(house)["structured_output"]["year"] == 1999
    assert "response_format" not in model.asked[-1]


def test_a_schema_without_fields(house):
    with pytest.raises(ComponentFailed, match="names no field"):
        structured(house, rows=[])


def test_schemas_and_misfits():
    assert schema_of("nothing") is schema_of([]) is schema_of([{"name": ""}]) is None
    schema = schema_of(ROWS)
    assert misfit({"title": "a", "year": 1, "tags": []}, schema) == ""
    assert misfit({"title": "a", "year": "1", "tags": []}, schema) == "year is no integer"
    assert misfit({"title": "a", "year": True, "tags": []}, schema) == "year is no integer"
    assert misfit({"title": "a", "year": None, "tags": [1]}, schema) == "tags is no string"
    assert misfit([], schema) == "the answer is no object"
