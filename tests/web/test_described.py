"""The check that every answer of the tests goes through does refuse what is not described."""

import pytest
from jsonschema import ValidationError

from tests.web.described import document_of


@pytest.fixture
def messages(site):
    """A list of one message, and what holds such lists against the description."""
    site.say("ann", site.flow("ann"), "hi", session="s")
    return site.messages("ann"), document_of(site.app).validator("list_messages", "200", "application/json")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda one: {**one, "id": "no id"}, id="format"),
        pytest.param(lambda one: {**one, "timestamp": 3}, id="type"),
        pytest.param(lambda one: {name: value for name, value in one.items() if name != "text"}, id="member lacking"),
        pytest.param(lambda one: [one], id="shape"),
        pytest.param(lambda one: {**one, "id": "\ud800"}, id="half a character where it may not be"),
    ],
)
def test_what_is_not_described_is_refused(messages, change):
    answer, shape = messages
    shape.validate(answer)
    with pytest.raises(ValidationError):
        shape.validate([*answer, change(answer[0])])


@pytest.mark.parametrize("text", ["\ud800", "x" * 100_000], ids=["half a character", "long"])
def test_what_is_described_passes_whatever_its_texts_hold(messages, text):
    answer, shape = messages
    shape.validate([{**answer[0], "text": text}])
