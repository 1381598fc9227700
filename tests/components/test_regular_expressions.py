"""Regular expressions: the same answers as Python's, in time proportional to the text."""

from __future__ import annotations

import re
import warnings

import pytest
from flowrunner_components import regular_expressions
from flowrunner_components.regular_expressions import matches_start
from hypothesis import given
from hypothesis import strategies as st

PIECES = st.sampled_from([
    "a", "b", "A", "ü", ".", r"\d", r"\w", r"\s", r"\W", r"\S", r"\D", r"\b", "^", "$", "[ab]", "[^a]", "[a-c1]",
    "[]a]", "[^]a]", "[[a]", "[[:a:]]", r"[\d_-]", r"[\s\S]", r"[^\W1]", r"[\Wa]", "[\\b]", "(", "(?:", "(?P<n>", ")",
    "|", "*", "+", "?", "{2}", "{1,3}", "{,2}", "{2,}", "*?", "+?", "1", " ", "\n", r"\.", r"\A", r"\Z", "{", "}", "-",
    r"\x41", r"\u00fc", r"\_", "\\\n", "\\ü", "$\n", r"\n",
])  # fmt: skip


def _python(pattern, text, ignore_case):
    """Return whether Python's matcher matches, or None if it cannot read the pattern."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return bool(re.compile(pattern, re.IGNORECASE if ignore_case else 0).match(text))
        except re.error:
            return None


@given(
    st.sampled_from(["", "(?i)", "(?s)", "(?m)", "(?im)", "(?u)", "(?iu)"]),
    st.lists(PIECES, max_size=8),
    st.text(alphabet="abcA1 \n_.-{}B[:", max_size=8) | st.text(alphabet="aü1 \n –ß٣𝒳", max_size=8),
    st.booleans(),
)
def test_the_answers_are_those_of_python(flags, pieces, text, ignore_case):
    pattern = flags + "".join(pieces)
    wanted = _python(pattern, text, ignore_case)
    if wanted is None or re.search(r"(?<!\\)[*+?}]\+", pattern):
        return  # what Python cannot read RE2 may, and possessive repetition is refused
    if not text.isascii() and re.search(r"\\b", pattern, re.IGNORECASE):
        return  # the edges of words are those of ASCII
    if re.search(r"\$.", pattern, re.DOTALL) and text.endswith("\n"):
        return  # a $ that stands before a line break which the pattern goes on to take
    try:
        found = matches_start(pattern, text, ignore_case=ignore_case)
    except ValueError as error:
        assert "repetition" in str(error), "only two repetitions in a row and those of anchors are refused"
        return
    assert found is wanted


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
        ("abc$", "abc\n", True),
        ("abc$", "abc\n\n", False),
        (r"abc\Z", "abc\n", False),
        ("grüße", "GRÜSSE", False),
        (r"\w+$", "Grüße", True),
        (r"[\w-]+$", "Ärger-٣", True),
        (r"\W", "\u03b9", False),
        (r"\s", "\u3000", True),
        (r"(?i)straße", "STRAßE", True),
        (r"\U0001f600", "\U0001f600", True),
        ("(?i:a)b", "Ab", True),
        ("(" * 2_000 + "a" + ")" * 2_000, "a", True),
        (".", "\ud800", True),
    ],
)
def test_patterns_mean_what_they_mean_in_python(pattern, text, holds):
    assert matches_start(pattern, text, ignore_case=pattern == r"\W") is holds


@pytest.mark.parametrize(
    ("pattern", "text", "holds"),
    [
        ("(a+)+$", "a" * 50_000 + "b", False),
        ("(a|a)*b", "a" * 200_000, False),
        ("(a|aa)+$", "a" * 50_000 + "!", False),
        ("(((a*)*)*)*b", "a" * 50_000, False),
        ("(a?){300}a{300}", "a" * 300, True),
        (r"(\w+\s?)*!", "word " * 20_000, False),
        (".*error", "x" * 1_000_000 + "error", True),
        ("[" + "abcdefghijklmnopqrstuvwxyz" * 36 + "a]*x", "a" * 50_000, False),
        ("[" + "äöüß" * 200 + "a]*x", "ä" * 50_000, False),
    ],
)
def test_patterns_that_hang_other_matchers_are_answered(pattern, text, holds):
    assert matches_start(pattern, text) is holds


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"(a)\1", r"back reference \\1 is not supported"),
        ("(?=a)", r"\(\?= is not supported"),
        ("(?<!a)b", r"\(\?<! is not supported"),
        ("(?P=n)", "not supported"),
        ("(?(1)a)", "not supported"),
        ("a++", r"bad repetition operator: \+\+"),
        ("a{2000}", "repetition size"),
        ("a{3,2}", "repetition size"),
        ("((a{99}){99}){99}", "repetition size"),
        (".*" + "[^a]{900}" * 100, "too large"),
        ("a" * 10_001, "longer than"),
        ("[z-a]", "z-a"),
        ("[a", r"missing \]"),
        (r"\q", r"unknown escape \\q"),
        (r"\xzz", "escape sequence"),
        ("a)", r"unexpected \)"),
    ],
)
def test_what_cannot_be_bounded_or_read_is_refused(pattern, reason, capfd):
    with pytest.raises(ValueError, match=reason):
        matches_start(pattern, "aaaa")
    assert capfd.readouterr() == ("", ""), "no pattern reaches the log raw"


def test_the_work_has_a_limit(monkeypatch):
    monkeypatch.setattr(regular_expressions, "MAX_WORK", 1_000_000)
    assert matches_start(".*(a|b){500}c", "a" * 100) is False
    with pytest.raises(ValueError, match="takes too long on this text"):
        matches_start(".*(a|b){500}c", "a" * 10_000)
