"""JSON of a given shape."""

from __future__ import annotations

import pytest
from flowrunner_models.coercion import coerce, find_fitting
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
        ("in", "ChatInput"),
        ("s", "StructuredOutput", {"output_schema": rows, **settings}),
        ("out", "ChatOutput"),
    ]
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
    with pytest.raises(ComponentFailed, match="has no field"):
        structured(house, rows=[])


def test_schemas_and_misfits():
    assert schema_of("nothing") is schema_of([]) is schema_of([{"name": ""}]) is None
    schema = schema_of(ROWS)
    assert misfit({"title": "a", "year": 1, "tags": []}, schema) == ""
    assert misfit({"title": "a", "year": "1", "tags": []}, schema) == "year is not of type integer"
    assert misfit({"title": "a", "year": True, "tags": []}, schema) == "year is not of type integer"
    assert misfit({"title": "a", "year": None, "tags": [1]}, schema) == "tags is not of type string"
    assert misfit([], schema) == "the answer is not an object"


@pytest.mark.parametrize(
    ("kind", "given", "wanted"),
    [
        ("integer", "3", 3),
        ("integer", 3.0, 3),
        ("integer", " 3.0 ", 3),
        ("integer", "1.0e0", 1),
        ("integer", "-2", -2),
        ("integer", 1.0e0, 1),
        ("integer", "3.5", 3.5),
        ("integer", "three", "three"),
        ("integer", True, True),
        ("integer", "", None),
        ("integer", "null", None),
        ("integer", "9" * 99, "9" * 99),
        ("number", "2.5", 2.5),
        ("number", "1e3", 1000),
        ("number", float("nan"), "nan"),
        ("number", "1,5", "1,5"),
        ("boolean", "true", True),
        ("boolean", "False", False),
        ("boolean", "yes", True),
        ("boolean", 1, True),
        ("boolean", "maybe", "maybe"),
        ("boolean", 2, 2),
        ("string", 3, "3"),
        ("string", 2.5, "2.5"),
        ("string", True, True),
        ("string", None, None),
        ("object", '{"a": 1}', {"a": 1}),
        ("object", [{"a": 1}], {"a": 1}),
        ("object", "x", "x"),
        ("array", None, []),
        ("array", "x", ["x"]),
        ("array", '["x"]', ["x"]),
        ("array", {"a": 1}, [{"a": 1}]),
        ("array", 7, ["7"]),
    ],
)
def test_values_that_mean_the_same(kind, given, wanted):
    schema = {"type": kind, **({"items": {"type": "string"}} if kind == "array" and given != {"a": 1} else {})}
    found = coerce(given, schema)
    assert found == wanted and type(found) is type(wanted)


EXAMPLE = '{"title": "example", "year": 1, "tags": []}'


@pytest.mark.parametrize(
    "said",
    [
        BOOK,
        ONE,
        f"[{BOOK}]",
        f'{{"objects": {BOOK}}}',
        f"```json\n{BOOK}\n```",
        f"{EXAMPLE} {BOOK}",
        f"For example {EXAMPLE}. Here it is: {ONE}.",
        f"{BOOK}\n{{}}",
        f"{BOOK} [see 1] {{x}}",
        f"<think>{EXAMPLE}</think>{BOOK}",
        f"So <think>{EXAMPLE}</think> {BOOK}",
        f"{EXAMPLE}</think>{BOOK}",
        f'{{"answer": {BOOK}}}',
        f'{{"result": {{"objects": [{BOOK}]}}}}',
        '{"title": "a", "year": "1999", "tags": "x"}',
        '{"title": "a", "year": 1999.0, "tags": ["x"]}',
        '{"objects": "' + f"[{BOOK}]".replace('"', '\\"') + '"}',
        '{"objects": "' + ONE.replace('"', '\\"') + '"}',
        f"{EXAMPLE} <think>{EXAMPLE}</think>\n{BOOK} <think>",
    ],
)
def test_the_last_json_that_fits_counts(house, model, said):
    model.script(say(said))
    assert structured(house)["structured_output"] == {"title": "a", "year": 1999, "tags": ["x"]}


def test_what_is_wrong_is_said_of_the_last():
    schema = schema_of(ROWS)
    assert find_fitting('{"title": 1} {"year": 2}', schema) == (None, "the answer lacks title")
    assert find_fitting("nothing", schema) == (None, "there is no JSON in it")
    assert find_fitting("7", schema)[1]


def test_an_agents_records_are_as_many_as_there_are(house, model):
    rows = [{"name": "number", "type": "int", "description": "", "multiple": "False"}]
    for said, wanted in (
        ('{"objects": [{"number": 1}, {"number": "2"}]}', {"results": [{"number": 1}, {"number": 2}]}),
        ('[{"number": 1}, {"number": 2}]', {"results": [{"number": 1}, {"number": 2}]}),
        ('{"number": 42}', {"number": 42}),
        ('{"objects": []}', {"results": []}),
    ):
        model.script(say("They are."), say(said))
        result = house.run(
            [("in", "ChatInput"), ("a", "Agent", {"output_schema": rows}), ("out", "ChatOutput")],
            ["in.message -> a.input_value", "a.structured_response -> out.input_value"],
        )
        assert result.output("a")["structured_response"] == wanted
        assert model.asked[-1]["response_format"]["json_schema"]["schema"]["required"] == ["objects"]
