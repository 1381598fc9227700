"""If-Else: the comparisons, the branch that is taken, and what goes on."""

from __future__ import annotations

import pytest
from flowrunner_components import ConditionalRouter
from flowrunner_components.comparisons import OPERATORS, compare

from flowrunner import Message
from tests.components.context import run


@pytest.mark.parametrize(
    ("operator", "text", "match", "case_sensitive", "holds"),
    [
        ("equals", "yes", "yes", True, True),
        ("equals", "Yes", "yes", True, False),
        ("equals", "Yes", "yes", False, True),
        ("not equals", "a", "b", True, True),
        ("not equals", "A", "a", False, False),
        ("contains", "haystack", "st", True, True),
        ("contains", "HAYSTACK", "st", True, False),
        ("contains", "HAYSTACK", "st", False, True),
        ("contains", "x", "", True, True),
        ("starts with", "hello", "he", True, True),
        ("starts with", "hello", "lo", True, False),
        ("ends with", "hello", "LO", False, True),
        ("ends with", "hello", "he", True, False),
        ("regex", "abc123", r"[a-z]+\d+", True, True),
        ("regex", "xabc", "abc", True, False),
        ("regex", "ABC", "abc", True, False),
        ("regex", "ABC", "abc", False, True),
        ("less than", "2", "10", True, True),
        ("less than", "10", "2", True, False),
        ("less than or equal", "2.0", "2", True, True),
        ("greater than", " 3 ", "2", True, True),
        ("greater than or equal", "2", "2", True, True),
        ("greater than", "two", "1", True, False),
        ("less than", "", "1", True, False),
        ("less than", "nan", "1", True, False),
    ],
)
def test_comparisons(operator, text, match, case_sensitive, holds):
    assert compare(operator, text, match, case_sensitive=case_sensitive) is holds
    settings = {"input_text": text, "match_text": match, "operator": operator, "case_sensitive": case_sensitive}
    assert list(run(ConditionalRouter(), **settings)) == ["true_result" if holds else "false_result"]


def test_every_operator_that_is_offered_is_known():
    for operator in OPERATORS:
        assert compare(operator, "1", "1") in (True, False)


def test_an_unknown_operator_is_named():
    with pytest.raises(ValueError, match="operator is 'resembles'"):
        run(ConditionalRouter(), input_text="a", operator="resembles")


def test_a_regular_expression_that_is_none_is_named():
    with pytest.raises(ValueError, match="regular expression cannot be used"):
        run(ConditionalRouter(), input_text="a", match_text="(", operator="regex")


def route(text="yes", **settings):
    return run(ConditionalRouter(), input_text=text, match_text="yes", **settings)


def test_the_text_goes_on_unless_the_case_has_a_message():
    assert route()["true_result"].text == "yes"
    assert route("no")["false_result"].text == "no"
    assert route(true_case_message="T!", false_case_message="F!")["true_result"].text == "T!"
    assert route("no", true_case_message="T!", false_case_message="F!")["false_result"].text == "F!"
    assert route(true_case_message=Message(text=""))["true_result"].text == "yes"
    assert route(true_case_message=Message(text="m", files=("f",)))["true_result"].files == ("f",)


def test_older_flows_pass_a_message_of_their_own_on():
    assert route(message="both")["true_result"].text == "both"
    assert route("no", message="both", true_case_message="T!")["false_result"].text == "both"
    assert route(message={"a": 1})["true_result"] == {"a": 1}


def test_what_goes_on_is_a_text_and_no_turn():
    message = Message(text="yes", id="x", sender="User", sender_name="User", session_id="s1")
    passed = route(true_case_message=message)["true_result"]
    assert (passed.id, passed.sender, passed.session_id) == (None, None, "")
