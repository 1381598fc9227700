"""Regular expressions: the same answers as Python's, in bounded time."""

from __future__ import annotations

import re
import warnings

import pytest
from flowrunner_components import regex_match
from flowrunner_components.regex_match import matches_start
from hypothesis import given
from hypothesis import strategies as st

PIECES = st.sampled_from([
    "a", "b", "A", ".", r"\d", r"\w", r"\s", r"\W", r"\b", "^", "$", "[ab]", "[^a]", "[a-c1]", "[]a]", r"[\d_-]", "(",
    "(?:", "(?P<n>", ")", "|", "*", "+", "?", "{2}", "{1,3}", "{,2}", "{2,}", "*?", "+?", "1", " ", "\n", r"\.", r"\A",
    r"\Z", "{", "}", "-", r"\x41",
])  # fmt: skip


@given(
    st.sampled_from(["", "(?i)", "(?s)", "(?m)", "(?im)"]),
    st.lists(PIECES, max_size=8),
    st.text(alphabet="abcA1 \n_.-{}B", max_size=8),
    st.booleans(),
)
def test_the_answers_are_those_of_python(flags, pieces, text, ignore_case):
    pattern = flags + "".join(pieces)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wanted = re.compile(pattern, re.IGNORECASE if ignore_case else 0)
        except re.error:
            with pytest.raises(ValueError, match="cannot be used"):
                matches_start(pattern, text, ignore_case=ignore_case)
            return
    if re.search(r"(?<!\\)[*+?}]\+", pattern):
        return  # possessive repetition, which Python knows from 3.11 on, is refused
    assert matches_start(pattern, text, ignore_case=ignore_case) is bool(wanted.match(text))


@given(st.text(max_size=40), st.text(max_size=20))
def test_any_pattern_is_answered_or_refused(pattern, text):
    try:
        matches_start(pattern, text)
    except ValueError as error:
        assert "regular expression" in str(error)


@given(st.text(max_size=30), st.text(max_size=10))
def test_an_escaped_text_means_itself(text, more):
    assert matches_start(re.escape(text), text + more)


@pytest.mark.parametrize(
    ("pattern", "text", "holds"),
    [
        ("(a+)+$", "a" * 5_000 + "b", False),
        ("(a|a)*b", "a" * 20_000, False),
        ("(a|aa)+$", "a" * 5_000 + "!", False),
        ("(((a*)*)*)*b", "a" * 5_000, False),
        ("(a?){300}a{300}", "a" * 300, True),
        (r"(\w+\s?)*!", "word " * 2_000, False),
        (".*error", "x" * 100_000 + "error", True),
    ],
)
def test_patterns_that_hang_other_matchers_are_answered(pattern, text, holds):
    assert matches_start(pattern, text) is holds


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"(a)\1", "back reference"),
        ("(?=a)", "not supported"),
        ("(?<!a)b", "not supported"),
        ("(?P=n)", "not supported"),
        ("(?i:a)", "not supported"),
        ("a++", "two repetitions"),
        ("a{2000}", "repeats more"),
        ("a{3,2}", "backwards"),
        ("((a{99}){99}){99}", "too large"),
        ("(" * 60 + ")" * 60, "nested"),
        ("a" * 1_001, "longer than"),
        ("[z-a]", "backwards"),
        ("[a", "has no end"),
        (r"\q", "not known"),
        (r"\xzz", "no character"),
        ("a)", "too many"),
    ],
)
def test_what_cannot_be_bounded_or_read_is_refused(pattern, reason):
    with pytest.raises(ValueError, match=reason):
        matches_start(pattern, "aaaa")


def test_the_work_has_a_limit(monkeypatch):
    monkeypatch.setattr(regex_match, "MAX_STEPS", 50_000)
    with pytest.raises(ValueError, match="takes too long"):
        matches_start(".*(a|b){500}c", "a" * 10_000)
