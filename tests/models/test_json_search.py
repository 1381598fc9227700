"""JSON in what a model says: found where it stands, in a number of steps proportional to the text."""

from __future__ import annotations

import json
import re

import pytest
from flowrunner_models import json_search
from flowrunner_models.json_search import documents, find_json
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
PIECES = st.sampled_from(["[", "]", "{", "}", '"', ",", ":", "1", "x", " ", "\\", "\n", '"a"', '{"a": ', "```", "[1]"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[1, 2]", [1, 2]),
        ('a {"b": 1} c', {"b": 1}),
        ("none", None),
        ("7", None),
        ("{broken", None),
        ('like [1], so:\n```json\n{"a": 1}\n```', {"a": 1}),
        ('```\n{"a": 1}', {"a": 1}),
        ('[see {"a": 1}', {"a": 1}),
        ('["said {"a": 1}', {"a": 1}),
        ('{"a": "}"}', {"a": "}"}),
        ("[NaN] [1e999] [2]", [2]),
    ],
)
def test_json_in_a_text(text, found):
    if "1e999" in text:
        assert list(documents(text))[-1] == found
    else:
        assert find_json(text) == found


@given(st.lists(VALUES.map(json.dumps) | st.sampled_from(["so: ", "[", "{", '"', "\n", "]"]), max_size=6))
def test_what_is_found_is_what_trying_every_bracket_finds(pieces):
    text = "".join(pieces)
    assert list(documents(text)) == _by_trying(text)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_odd_texts_have_the_documents_that_trying_finds(text):
    assert list(documents(text)) == _by_trying(text)


def _by_trying(text):
    """Return the documents by trying at each bracket: easy to see through, and quadratic."""
    found, at, decoder = [], 0, json.JSONDecoder()
    while match := re.compile(r"[\[{]").search(text, at):
        try:
            value, at = decoder.raw_decode(text, match.start())
        except json.JSONDecodeError:
            at = match.start() + 1
        else:
            found.append(value)
    return found


class Counting:
    """A pattern that counts the characters over which it matched."""

    def __init__(self, pattern):
        self.pattern, self.steps = pattern, 0

    def match(self, text, at):
        found = self.pattern.match(text, at)
        self.steps += 1 + (found.end() - at if found else 0)
        return found


@pytest.mark.parametrize(
    "text",
    [
        "```" + " " * 100_000,
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 20_000,
        ("[" + "1," * 50) * 1_000,
        '["+"1,"' * 15_000,
        '["[",' * 20_000,
        '["",",[' * 15_000,
        '{"": "{\\"' * 10_000,
        '["' + "\\\\" * 50_000,
        '[{"a":[' * 10_000 + "x",
        "```json\n[" * 10_000,
        "[1] " * 25_000,
    ],
    ids=range(13),
)
def test_the_steps_are_proportional(text, monkeypatch):
    counting = Counting(json_search._TOKEN)
    monkeypatch.setattr(json_search, "_TOKEN", counting)
    find_json(text)
    list(documents(text))
    assert counting.steps < 8 * len(text) + 100


def test_json_that_nests_too_deeply_is_passed_over():
    assert list(documents("[" * 201 + "]" * 201 + ' {"a": 1}')) == [{"a": 1}]
    assert len(list(documents("[" * 200 + "]" * 200))) == 1
