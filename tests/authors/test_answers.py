"""What a component may not answer: the run fails and names the component, the output and what is wanted."""

from __future__ import annotations

import asyncio
from collections import UserDict
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from uuid import UUID

import pytest

from flowrunner import CancelToken, Component, ComponentFailed, Input, Message, Output
from tests.engine.rig import open_rig

Colour = Enum("Colour", "RED")


OUTPUTS = (Output("message"), Output("data", "Data"), Output("table", "DataFrame"), Output("m", "any"))


def component(answer):
    members = {"type_name": "Answers", "outputs": OUTPUTS, "run": lambda self, context: answer(context)}
    return type("Answers", (Component,), members)


def run(tmp_path, made):
    with open_rig(tmp_path, components=(made,)) as rig:
        return rig.run([("Answers-1", "Answers")]).vertices[0].outputs


async def coroutine():
    return {}


def yields(part, *, answer=None):
    def generate(context):
        yield part
        return answer

    return generate


BAD = {
    "a misspelt name": (lambda context: {"mesage": "x"}, "the output 'mesage', .* did you mean message?"),
    "a name of no kind": (lambda context: {"zzz": 1}, "the output 'zzz', .*its outputs are: message, data, table, m"),
    "a name that is no text": (lambda context: {1: "x"}, "the output 1, which it does not declare"),
    "nothing": (lambda context: None, r'returned None, not a mapping .* message, data, table, m: {"message": ...}'),
    "a text": (lambda context: "x", "returned a str, not a mapping"),
    "a list": (lambda context: [("message", "x")], "returned a list, not a mapping"),
    "a set": (lambda context: {"message"}, "returned a set, not a mapping"),
    "a message": (lambda context: Message(text="x"), "returned a Message, not a mapping"),
    "an iterator": (lambda context: iter(["x"]), "returned a list_iterator, not a mapping"),
    "a coroutine": (lambda context: coroutine(), "returned a coroutine for the outputs message.* never awaited"),
    "a generator without return": (yields("x"), "is a generator and returned nothing for the outputs message"),
    "a generator that returns a text": (yields("x", answer="y"), "returned a str, not a mapping"),
    "a generator with a wrong name": (yields("x", answer={"text": "y"}), "the output 'text'"),
    "a number in parts": (yields(1, answer={}), "yielded an int for the outputs message, .*: yield only text"),
    "a dict in parts": (yields({"message": "x"}, answer={}), "yielded a dict"),
    "bytes in parts": (yields(b"x", answer={}), "yielded a bytes"),
    "None in parts": (yields(None, answer={}), "yielded None"),
    "an object": (lambda context: {"message": object()}, r"output message \(Message\) is an object, not text"),
    "bytes": (lambda context: {"message": b"x"}, r"output message \(Message\) is a bytes"),
    "a bytearray": (lambda context: {"message": bytearray(b"x")}, "is a bytearray"),
    "a class": (lambda context: {"message": Message}, r"output message \(Message\) is a type"),
    "a function": (lambda context: {"message": str.upper}, "is a method_descriptor"),
    "a coroutine in an output": (lambda context: {"message": coroutine()}, "is a coroutine"),
    "a generator in an output": (lambda context: {"data": (c for c in "x")}, r"output data \(Data\) is a generator"),
    "an object for data": (lambda context: {"data": object()}, r"output data \(Data\) is an object, not a dict"),
    "an object for a table": (lambda context: {"table": object()}, r"\(Table\) is an object, not a list of"),
    "a message of bytes": (lambda context: {"message": Message(text=b"x")}, "output message .* whose text is a bytes"),
    "a message of nothing": (lambda context: {"message": Message(text=None)}, "whose text is None"),
}


@pytest.mark.parametrize("case", BAD)
def test_it_fails_with_the_names(case, tmp_path):
    answer, sentence = BAD[case]
    with pytest.raises(ComponentFailed, match=f"(?s)Error building Component Answers: .*{sentence}"):
        run(tmp_path, component(answer))


GOOD = {
    "text": {"message": "x"},
    "a message": {"message": Message(text="x")},
    "a subclass of text": {"message": type("Shout", (str,), {})("x")},
    "numbers": {"message": 1, "data": 2.5},
    "truth and nothing": {"message": True, "data": None},
    "dict and list": {"message": {"text": "x"}, "data": [1], "table": [{"a": 1}]},
    "another mapping": UserDict(message=UserDict(text="x")),
    "dates and the like": {"message": date(2026, 1, 1), "data": Decimal(1), "table": (timedelta(1), UUID(int=1))},
    "paths and enums": {"message": Path("a"), "data": Colour.RED},
    "some of the outputs": {"data": {}},
    "none of them": {},
    "anything where anything goes": {"m": object()},
}


@pytest.mark.parametrize("case", GOOD)
def test_what_can_be_shown_is_taken(case, tmp_path):
    answer = GOOD[case]
    assert run(tmp_path, component(lambda context: answer)) == answer


def test_a_generator_may_yield_text_and_messages(tmp_path):
    def generate(context):
        yield "a"
        yield ""
        yield Message(content_blocks=({"title": "step", "contents": []},))
        return {"message": "b"}

    assert run(tmp_path, component(generate)) == {"message": "b"}


def test_outputs_that_a_tweak_adds_are_known(tmp_path):
    class Routes(Component):
        type_name = "Routes"
        inputs = (Input("count", "int", default=1),)

        def outputs_for(self, settings):
            return tuple(Output(f"way_{n}") for n in range(int(settings.get("count") or 1)))

        def run(self, context, count):
            return {f"way_{count - 1}": "x"}

    with open_rig(tmp_path, components=(Routes,)) as rig:
        (vertex,) = rig.run([("Routes-1", "Routes")], tweaks={"Routes-1": {"count": 3}}).vertices
    assert vertex.outputs == {"way_2": "x"}


def test_a_run_is_cancelled_only_when_it_is(tmp_path):
    seen = []

    def look(context):
        seen.append(bool(context.cancelled))
        context.cancelled.cancel()
        seen.append(bool(context.cancelled))
        return {"message": "x"}

    with open_rig(tmp_path, components=(component(look),)) as rig:
        token = CancelToken()
        with pytest.raises(Exception, match="stopped"):
            rig.run([("Answers-1", "Answers")], cancelled=token)
    assert seen == [False, True]
    assert token


def test_an_unset_token_is_handed_on_and_not_replaced():
    """``cancelled or CancelToken()`` would put a token in its place that nobody sets."""
    from tests.live_server import ROOT

    for folder in ("flowrunner", "plugins", "examples"):
        for path in (ROOT / folder).rglob("*.py"):
            assert "cancelled or C" not in path.read_text("utf-8"), path


def test_a_component_stores_one_message_or_many(tmp_path):
    def store(context):
        one = Message(text="a", sender="User", sender_name="U", session_id="s")
        got = context.memory.append(one)
        many = context.memory.append([one.replace(text="b"), one.replace(text="c")])
        context.memory.of_owner.append(one.replace(text="d"))
        for wrong in ("text", {"text": "x"}, 5, None, [one, "x"]):
            with pytest.raises(TypeError, match="was given but must be a Message"):
                context.memory.append(wrong)
        return {"data": [got.text, *(message.text for message in many)]}

    with open_rig(tmp_path, components=(component(store),)) as rig:
        (vertex,) = rig.run([("Answers-1", "Answers")]).vertices
        assert vertex.outputs["data"] == ["a", "b", "c"]
        assert [message.text for message in rig.messages(session_id="s")] == ["a", "b", "c", "d"]


def test_what_is_awaited_inside_works(tmp_path):
    async def work():
        return "x"

    assert run(tmp_path, component(lambda context: {"message": asyncio.run(work())})) == {"message": "x"}
