"""Text Input, Text Output, Combine Text, Webhook and Current Date."""

from __future__ import annotations

import re
import zoneinfo

import pytest
from flowrunner_components import CombineText, CurrentDate, TextInput, TextOutput, Webhook
from flowrunner_components.current_date import find_zone
from hypothesis import given
from hypothesis import strategies as st

from flowrunner import Message
from tests.components.context import FLOW, ListMemory, make_context, run


@given(st.text())
def test_text_passes_unchanged_and_nothing_is_stored(text):
    memory = ListMemory()
    given_text = run(TextInput(), make_context(memory), input_value=text)["text"]
    found = run(TextOutput(), make_context(memory), input_value=given_text)["text"]
    assert found.text == text
    assert (found.sender, found.sender_name, found.session_id, found.id, found.run_id) == (None, None, "", None, None)
    assert found.flow_id == FLOW
    assert memory.rows == []


def test_a_text_output_shows_objects_and_tables():
    assert run(TextOutput(), input_value={"text": "t", "x": 1})["text"].text == "t"
    assert run(TextOutput(), input_value={"x": 1})["text"].text == '{"x": 1}'
    assert run(TextOutput(), input_value=[{"x": 1}])["text"].text == "| x |\n| ---: |\n| 1 |"


@pytest.mark.parametrize(
    ("settings", "text"),
    [({}, "a b"), ({"delimiter": ""}, "ab"), ({"delimiter": "|"}, "a|b"), ({"delimiter": "\\n"}, "a\\nb")],
)
def test_combined_texts(settings, text):
    assert run(CombineText(), text1="a", text2="b", **settings)["combined_text"].text == text


@pytest.mark.parametrize(
    ("body", "data"),
    [
        ("", {}),
        ('{"a": 1, "text": "hi"}', {"a": 1, "text": "hi"}),
        ("plain text", {"payload": "plain text"}),
        ("[1, 2]", {"payload": [1, 2]}),
        ("7", {"payload": 7}),
        ("{broken", {"payload": "{broken"}),
        ("[" * 100_000, {"payload": "[" * 100_000}),
        ('{"a": NaN}', {"payload": '{"a": NaN}'}),
        ('{"a": 1e999}', {"payload": '{"a": 1e999}'}),
    ],
)
def test_a_webhook_gives_its_body_as_an_object(body, data):
    assert run(Webhook(), data=body)["output_data"] == data
    assert run(Webhook(), payload=body)["output_data"] == data


@given(st.text())
def test_a_webhook_takes_any_body(body):
    assert isinstance(run(Webhook(), data=body)["output_data"], dict)


def test_the_current_date_names_its_zone():
    text = run(CurrentDate())["current_date"].text
    assert re.fullmatch(r"Current date and time in UTC: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", text)
    assert run(CurrentDate(), timezone="")["current_date"].text.startswith("Current date and time in UTC")


@pytest.mark.skipif("Europe/Berlin" not in zoneinfo.available_timezones(), reason="no database of time zones here")
def test_other_zones_come_from_the_database():
    assert re.search(r"in Europe/Berlin: .* CES?T$", run(CurrentDate(), timezone="Europe/Berlin")["current_date"].text)


@pytest.mark.parametrize(
    "name", ["Nowhere/City", "../../etc/passwd", "/etc/passwd", "Europe", "Europe/", "a\0b", "zone.tab", "x" * 5000]
)
def test_an_unknown_zone_is_named(name):
    with pytest.raises(ValueError, match="unknown time zone"):
        run(CurrentDate(), timezone=name)


@given(st.text())
def test_no_name_of_a_zone_does_harm(name):
    try:
        find_zone(name)
    except ValueError as error:
        assert "unknown time zone" in str(error)


def test_messages_that_are_only_text_belong_to_no_session():
    for message in (run(CombineText())["combined_text"], run(CurrentDate())["current_date"]):
        assert isinstance(message, Message) and message.session_id == "" and message.sender is None
