"""Type Convert and Message to Data, and the conversions behind them."""

from __future__ import annotations

import pytest
from flowrunner_components import MessageToData, TypeConverter
from flowrunner_components.structured_text import read_structured
from flowrunner_components.values import as_data, as_table, as_text, json_text, shown_text
from hypothesis import given
from hypothesis import strategies as st

from flowrunner import Message
from tests.components.context import run


def convert(value, **settings):
    found = run(TypeConverter(), None, input_data=value, **settings)
    return found["message_output"].text, found["data_output"], found["dataframe_output"]


@pytest.mark.parametrize(
    ("value", "settings", "wanted"),
    [
        ("hi", {}, ("hi", {"text": "hi"}, [{"text": "hi"}])),
        (Message(text="hi"), {}, ("hi", {"text": "hi"}, [{"text": "hi"}])),
        ({"text": "t", "x": 1}, {}, ("t", {"text": "t", "x": 1}, [{"text": "t", "x": 1}])),
        ({"x": 1}, {}, ('{"x": 1}', {"x": 1}, [{"x": 1}])),
        ({"rows": [{"a": 1}]}, {}, ('{"rows": [{"a": 1}]}', {"rows": [{"a": 1}]}, [{"a": 1}])),
        ([{"a": 1}], {}, ("| a |\n| ---: |\n| 1 |", {"results": [{"a": 1}]}, [{"a": 1}])),
        ([], {}, ("", {"results": []}, [])),
        ('{"a": 1}', {"auto_parse": True}, ('{"a": 1}', {"a": 1}, [{"a": 1}])),
        ('{"a": 1}', {}, ('{"a": 1}', {"text": '{"a": 1}'}, [{"text": '{"a": 1}'}])),
        ('[{"a": 1}]', {"auto_parse": True}, ('[{"a": 1}]', {"records": [{"a": 1}]}, [{"a": 1}])),
        ("a,b\n1,x", {"auto_parse": True}, ("a,b\n1,x", {"records": [{"a": 1, "b": "x"}]}, [{"a": 1, "b": "x"}])),
        (
            "no, prose\nis no table",
            {"auto_parse": True},
            ("no, prose\nis no table", {"text": "no, prose\nis no table"}, [{"text": "no, prose\nis no table"}]),
        ),
    ],
)
def test_all_three_forms(value, settings, wanted):
    for chosen in ("Message", "JSON", "Data", "DataFrame", "Table", ""):
        assert convert(value, output_type=chosen, **settings) == wanted


def test_a_message_stays_the_message_it_is():
    message = Message(text="hi", sender="User")
    assert run(TypeConverter(), input_data=message)["message_output"] is message


def test_a_message_as_an_object_with_its_fields():
    data = run(MessageToData(), message=Message(text="hi", sender="User", owner="ann"))["data"]
    assert data["text"] == "hi" and data["sender"] == "User" and "owner" not in data
    assert run(MessageToData(), message="plain")["data"] == {"text": "plain"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a,b\n007,1.50\n-3,x", [{"a": "007", "b": 1.5}, {"a": -3, "b": "x"}]),
        ('a,b\n"x, y","z\n2"', [{"a": "x, y", "b": "z\n2"}]),
        ("a,a\n1,2", {"text": "a,a\n1,2"}),
        ("a,b\n1", {"text": "a,b\n1"}),
        ('a,b\n"open', {"text": 'a,b\n"open'}),
        ("[]", {"text": "[]"}),
        ("[1, 2]", [{"text": "1"}, {"text": "2"}]),
        ("3", {"text": "3"}),
        ("[" * 50_000, {"text": "[" * 50_000}),
        ('{"a": NaN}', {"text": '{"a": NaN}'}),
        ("[-Infinity]", {"text": "[-Infinity]"}),
        ('{"a": 1e999}', {"text": '{"a": 1e999}'}),
        ("a,b\n1," + "9" * 400 + ".5", [{"a": 1, "b": "9" * 400 + ".5"}]),
    ],
)
def test_structured_texts(text, wanted):
    assert read_structured(text) == wanted


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(JSON)
def test_every_value_has_every_form(value):
    assert isinstance(as_text(value), str)
    assert isinstance(shown_text(value), str)
    assert isinstance(as_data(value), dict)
    assert all(isinstance(row, dict) for row in as_table(value))


@given(st.text())
def test_any_text_is_read_somehow(text):
    assert isinstance(read_structured(text), (dict, list))


def test_data_that_is_too_deep_to_write_is_an_error_not_a_crash():
    deep: dict = {}
    for _ in range(100_000):
        deep = {"d": deep}
    with pytest.raises(ValueError, match="nested too deeply"):
        json_text(deep)
