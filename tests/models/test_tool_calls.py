"""Calls of tools, as servers write them in streams and whole: each is read as its own clients read it."""

from __future__ import annotations

import json

import pytest
from flowrunner_models.completions import Chunks
from flowrunner_models.provider_fields import Opaque
from flowrunner_models.tool_calls import Calls, read_arguments, valid_arguments
from hypothesis import given
from hypothesis import strategies as st

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def read(*deltas):
    calls = Calls()
    for delta in deltas:
        calls.add([delta])
    return [(c.name, c.arguments) for c in calls.found()]


def part(arguments=None, name=None, **more):
    function = {k: v for k, v in (("name", name), ("arguments", arguments)) if v is not None}
    return {**more, "function": function}


ONE = [("f", '{"x": 1}')]
TWO = [("f", '{"x": 1}'), ("f", '{"x": 2}')]


@pytest.mark.parametrize(
    ("deltas", "found"),
    [
        # One index for two calls without ids, whole or in parts.
        ([part('{"x": 1}', "f", index=0), part('{"x": 2}', "f", index=0)], TWO),
        ([part('{"x"', "f", index=0), part(": 1}", index=0), part('{"x": 2', "f", index=0), part("}", index=0)], TWO),
        # The name with every delta.
        ([part('{"x"', "f", index=0), part(": 1}", "f", index=0)], ONE),
        ([part('{"x"', "f"), part(": 1}", "f")], ONE),
        # Arguments under an index of their own.
        ([part("", "f", index=0, id="a"), part('{"x": 1}', index=1)], ONE),
        ([part('{"x"', "f", index=0, id="a"), part(": 1", index=1), part("}", index=2)], ONE),
        # An empty call at the end.
        ([part('{"x": 1}', "f", index=0, id="a"), part("", "", index=1)], ONE),
        ([part('{"x": 1}', "f", index=0, id="a"), part("", "", index=1, id="")], ONE),
        ([part('{"x": 1}', "f", index=0, id="a"), {"index": 1}], ONE),
        ([part('{"x": 1}', "f", index=0), part("", "f", index=0)], ONE),
        # Ids that change, ids that come late, indexes as texts, floats or not at all.
        ([part('{"x"', "f", index=0, id="a"), part(": 1}", index=0, id="b")], ONE),
        ([part(None, "f", index=0), part('{"x": 1}', index=0, id="a")], ONE),
        ([part('{"x"', "f", index="0", id="a"), part(": 1}", index="0")], ONE),
        ([part('{"x": 1}', "f", index="0"), part('{"x": 2}', "f", index="1")], TWO),
        ([part('{"x"', "f", index=0.0), part(": 1}", index=0)], ONE),
        ([part('{"x"', "f", id="a"), part(": 1}")], ONE),
        ([part('{"x"', "f", id="a", index=None), part(": 1}", id="a")], ONE),
        ([part('{"x": 1}', "f", id="a"), part('{"x": 2}', "f", id="b")], TWO),
        # Parts of two calls by turns.
        (
            [
                part('{"x"', "f", index=0, id="a"),
                part('{"x"', "f", index=1, id="b"),
                part(": 1}", index=0),
                part(": 2}", index=1),
            ],
            TWO,
        ),
        # Arguments as an object, once or with every delta; a function whose members stand in the call itself.
        ([part({"x": 1}, "f", index=0)], ONE),
        ([part({"x": 1}, "f", index=0, id="a"), part({"x": 1}, "f", index=0, id="a")], ONE),
        ([{"index": 0, "name": "f", "arguments": '{"x": 1}'}], ONE),
        ([part(None, "f", index=0)], [("f", "{}")]),
        ([part("", "f", index=0, id="a"), part("", "f", index=1, id="b")], [("f", "{}"), ("f", "{}")]),
    ],
)
def test_deltas(deltas, found):
    assert read(*deltas) == found


def test_ids_are_of_one_call_each():
    calls = Calls()
    for index in range(3):
        calls.add([part("{}", "f", index=index, id="same" if index < 2 else 7)])
    ids = [call.id for call in calls.found()]
    assert ids[0] == "same" and ids[2] == "7" and len(set(ids)) == 3
    assert all(ids)


def test_a_single_call_without_its_list_and_the_older_member():
    calls = Calls()
    calls.add({"id": "a", "function": {"name": "f", "arguments": "{}"}})
    assert [call.name for call in calls.found()] == ["f"]
    chunks = Chunks()
    for delta in ({"function_call": {"name": "f", "arguments": '{"x"'}}, {"function_call": {"arguments": ": 1}"}}):
        list(chunks.read(json.dumps({"choices": [{"delta": delta}]})))
    list(chunks.read("[DONE]"))
    assert [(c.name, c.arguments) for c in chunks.reply().calls] == ONE


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        ("null", {}),
        ('"{\\"a\\": 1}"', {"a": 1}),
        ("[1]", None),
        ("{broken", None),
        ('{"a": NaN}', None),
        ("7", None),
        ("[" * 5000, None),
    ],
)
def test_arguments(text, wanted):
    assert read_arguments(text) == wanted
    assert json.loads(valid_arguments(text)) == (wanted or {})


@given(st.text() | ANY_JSON.map(json.dumps))
def test_history_holds_valid_arguments_whatever_the_model_wrote(text):
    assert isinstance(json.loads(valid_arguments(text)), dict)


@given(st.dictionaries(st.sampled_from(["reasoning", "extra", "more"]), ANY_JSON, max_size=3))
def test_a_message_that_comes_whole_is_kept_as_it_is(members):
    opaque = Opaque()
    opaque.add({"role": "assistant", "content": "a", **members})
    assert opaque.members("a") == {k: v for k, v in members.items() if v not in (None, "", [], {})}


def test_members_of_a_stream_grow():
    opaque = Opaque()
    for text in ("a", "b"):
        opaque.add(
            {
                "reasoning": text,
                "signature": "sig",
                "details": [{"index": 0, "type": "t", "text": text}],
                "deep": {"text": text, "id": "1", "list": [text]},
                "n": 1,
            }
        )
    opaque.add({"details": [{"index": 1, "type": "t", "text": "c"}, {"index": 0, "type": "other", "data": "d"}]})
    assert opaque.members("") == {
        "reasoning": "ab",
        "signature": "sig",
        "n": 1,
        "deep": {"text": "ab", "id": "1", "list": ["a", "b"]},
        "details": [
            {"index": 0, "type": "t", "text": "ab"},
            {"index": 1, "type": "t", "text": "c"},
            {"index": 0, "type": "other", "data": "d"},
        ],
    }


def test_signed_parts_of_a_content_go_back_whole():
    thought = {"type": "thinking", "thinking": "hm", "signature": "x"}
    content = [thought, {"type": "text", "text": "so"}]
    opaque = Opaque()
    opaque.add_content(content, whole=True)
    assert opaque.members("so") == {"content": content}
    streamed = Opaque()
    for delta in (
        [{"type": "thinking", "thinking": "h"}],
        [{"type": "thinking", "thinking": "m"}],
        [{"type": "text", "text": "so"}],
    ):
        streamed.add_content(delta, whole=False)
    assert streamed.members("so") == {"content": [{"type": "thinking", "thinking": "hm"}, content[1]]}
