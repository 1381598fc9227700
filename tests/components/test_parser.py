"""Parser and its older names."""

from __future__ import annotations

import pytest
from flowrunner_components import ParseData, ParseDataFrame, Parser
from hypothesis import given
from hypothesis import strategies as st

from flowrunner import Message
from tests.components.context import run

ROWS = [{"n": "a", "x": 1}, {"n": "b"}]


def parse(value, **settings):
    return run(Parser(), None, input_data=value, **settings)["parsed_text"].text


@pytest.mark.parametrize(
    ("value", "pattern", "text"),
    [
        ({"text": "hi"}, "Text: {text}", "Text: hi"),
        ({"a": 1}, "{a}|{none}|", "1||"),
        ({"Interaction ID": 7}, "<{Interaction ID}>", "<7>"),
        ({"a": {"b": [1, {"c": 2}]}}, "{a} {a[b][0]} {a.b[1].c} {a.z}", '{"b": [1, {"c": 2}]} 1 2 '),
        ({"a": None, "b": True, "c": 1.5}, "{a}{b}{c}", "true1.5"),
        ({"a": "x"}, 'options: { display: true, n: "{a}" }', 'options: { display: true, n: "x" }'),
        ({"a": "{b}"}, "{a}{{b}}", "{b}{b}"),
        ({"a": "x"}, "{a.__class__} {a!r} {a:>10}", " {a!r} {a:>10}"),
        (ROWS, "{n}={x}", "a=1\nb="),
        (Message(text="m", sender="User"), "{sender}: {text}", "User: m"),
        ("plain", "<{text}>", "<plain>"),
        ([], "x", ""),
        (None, "x", ""),
    ],
)
def test_by_template(value, pattern, text):
    assert parse(value, pattern=pattern) == text


def test_rows_are_joined_by_the_separator():
    assert parse(ROWS, pattern="{n}", sep=", ") == "a, b"
    assert parse(ROWS, template="{n}", sep="") == "ab"


def test_whole_values():
    assert parse({"a": 1}, mode="Stringify") == '```json\n{\n  "a": 1\n}\n```'
    assert parse(ROWS, mode="Stringify") == "| n | x |\n| :--- | ---: |\n| a | 1 |\n| b |  |"
    assert parse(Message(text="m"), mode="Stringify") == "m"


def test_a_mode_that_there_is_not_is_named():
    with pytest.raises(ValueError, match="mode is 'Guess'"):
        parse({}, mode="Guess")


DATA = st.dictionaries(st.text(), st.one_of(st.none(), st.text(), st.integers(), st.lists(st.text())))


@given(DATA, st.text(alphabet="{}ab.[]0-'!: \n"))
def test_no_template_does_harm(row, pattern):
    assert isinstance(parse(row, pattern=pattern), str)
    assert isinstance(parse([row, row], pattern=pattern), str)


def test_older_parse_data_gives_a_text_and_the_objects():
    found = run(ParseData(), data=ROWS, template="{n}", sep="---")
    assert found["text"].text == "a---b"
    assert found["data_list"] == [{"n": "a", "x": 1, "text": "a"}, {"n": "b", "text": "b"}]
    assert run(ParseData(), data={"text": "t"})["text"].text == "t"
    assert run(ParseData(), data={"a": 1}, template="{data}")["text"].text == '{"a": 1}'
    assert run(ParseData(), data=[])["text"].text == ""


def test_older_parse_data_frame():
    assert run(ParseDataFrame(), df=ROWS, template="{n}")["text"].text == "a\nb"
    assert run(ParseDataFrame())["text"].text == ""
