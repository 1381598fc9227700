"""What a component may not declare: refused once, when it is registered, in a sentence that says what to write."""

from __future__ import annotations

import functools

import pytest

from flowrunner import Component, Input, Output, PluginFailed
from flowrunner.declarations import make_component
from flowrunner.registry import Registry


def component(**members):
    members = {
        "type_name": "Mine",
        "inputs": (Input("value"),),
        "outputs": (Output("text"),),
        "run": lambda self, context, value: {"text": value},
        **members,
    }
    return type("Mine", (Component,), members)


def add(given):
    registry = Registry()
    registry.add_component(given, "plug")
    return registry


async def run_async(self, context, value):
    return {}


async def run_async_generator(self, context, value):
    yield ""


def injecting(function):
    @functools.wraps(function)
    def inner(self, context, **values):
        return function(self, context, "database", **values)

    return inner


BAD = {
    "one input without a comma": ({"inputs": Input("value")}, r"a single Input; .* inputs = \(Input\(...\),\)"),
    "one output without a comma": ({"outputs": Output("text")}, r"a single Output; .* outputs = \(Output\(...\),\)"),
    "texts for inputs": ({"inputs": ("value",)}, r"contains 'value', which is not an Input: write Input\(\"value\"\)"),
    "a text for inputs": ({"inputs": "value"}, "inputs is 'value', but must be a tuple of Input"),
    "a dict for outputs": ({"outputs": {"text": "Message"}}, "but must be a tuple of Output"),
    "outputs among inputs": ({"inputs": (Output("value"),)}, "which is not an Input"),
    "no outputs at all": ({"outputs": None}, "outputs is None, but must be a tuple of Output"),
    "an unknown input type": ({"inputs": (Input("value", "Mesage"),)}, "input value .*did you mean Message"),
    "a Python type": ({"inputs": (Input("value", str),)}, "the unknown port type <class 'str'>"),
    "small letters": ({"outputs": (Output("text", "message"),)}, "'message' .did you mean Message"),
    "an unknown type far off": ({"outputs": (Output("text", "Quux"),)}, "'Quux'; there are Data, Embeddings"),
    "an unknown accepted type": ({"inputs": (Input("value", accepts=("Dta",)),)}, "'Dta' .did you mean Data"),
    "a text for accepts": ({"inputs": (Input("value", accepts="Data"),)}, "its accepts is 'Data', but must be a tuple"),
    "a text for aliases": ({"aliases": "Older"}, "its aliases is 'Older', but must be a tuple of strings"),
    "a text for an input's aliases": ({"inputs": (Input("value", aliases="v"),)}, "input value: its aliases is 'v'"),
    "a text for options": ({"inputs": (Input("value", options="ab"),)}, "its options is 'ab'"),
    "two inputs of one name": ({"inputs": (Input("value"), Input("value"))}, "two of its inputs are named value"),
    "an alias that is a name": (
        {"inputs": (Input("value"), Input("other", aliases=("value",))), "run": lambda self, context, value, other: {}},
        "two of its inputs are named value",
    ),
    "two outputs of one name": ({"outputs": (Output("a"), Output("a"))}, "two of its outputs are named a"),
    "an input with a blank name": ({"inputs": (Input(" "),)}, "the name of an input is ' '"),
    "a text for required": ({"inputs": (Input("value", required="no"),)}, "its required is 'no', but must be True"),
    "a number for many": ({"inputs": (Input("value", many=1),)}, "value: its many is 1, but must be True or False"),
    "a text for tool": ({"inputs": (Input("value", tool="yes"),)}, "value: its tool is 'yes', but must be True or"),
    "a text for blocking": ({"blocking": "no"}, "its blocking is 'no', but must be True or False"),
    "run is None": ({"run": None}, "its run is None, but must be a method: def run"),
    "run is no method": ({"run": {"text": "x"}}, "its run is .*, but must be a method: def run"),
    "inputs_for is no method": ({"inputs_for": (Input("value"),)}, "its inputs_for is .*, but must be a method"),
    "outputs_for is no method": ({"outputs_for": None}, "its outputs_for is None, but must be a method"),
    "an input without a name": ({"inputs": (Input(""),)}, "the name of an input is ''"),
    "an unknown kind": ({"output_kind": "message"}, "output_kind is 'message', but must be one of chat, text, data"),
    "a stream from nowhere": ({"streams_through": ("other",)}, "streams_through names other, which is not one of"),
    "a text for streams_through": ({"streams_through": "value"}, "its streams_through is 'value'"),
    "run without the input": ({"run": lambda self, context: {}}, "run does not take the input value"),
    "run with another name": ({"run": lambda self, context, vlaue: {}}, "does not take the input value"),
    "run with one more": ({"run": lambda self, context, value, more: {}}, "run takes more, which is not one of"),
    "run without a context": ({"run": lambda self: {}}, "run does not take the context"),
    "run with keywords alone": ({"run": lambda self, *, value: {}}, "run does not take the context"),
    "the input in the context's place": ({"run": lambda self, value: {}}, "takes value first, where the context is"),
    "by position only": ({"run": lambda self, context, value, /: {}}, "run takes value by position"),
    "an input called context": (
        {"inputs": (Input("context"),), "run": lambda self, context: {}},
        r"write def run\(self, context, /, ...\)",
    ),
    "a decorator that takes nothing": (
        {"run": functools.wraps(lambda self, context, value: {})(lambda self: {})},
        "run does not take the context",
    ),
    "async def": ({"run": run_async}, "async def, which is not supported"),
    "async generator": ({"run": run_async_generator}, "async def, which is not supported"),
    "no run": ({"run": Component.run}, "cannot be instantiated: TypeError: .*abstract"),
    "a constructor that wants something": ({"__init__": lambda self, url: None}, "instantiated: TypeError: .*'url'"),
    "a constructor that ends it all": ({"__init__": lambda self: exit(3)}, r"instantiated: it called sys.exit\(3\)"),
    "a constructor that says it with a full stop": (
        {"__init__": lambda self: (_ for _ in ()).throw(ValueError("No key."))},
        r"cannot be instantiated: No key\.$",
    ),
    "a blank name": ({"type_name": "  "}, "which has no type_name"),
}


@pytest.mark.parametrize("case", BAD)
def test_it_is_refused_in_a_sentence(case):
    members, sentence = BAD[case]
    with pytest.raises(PluginFailed, match=sentence) as refused:
        add(component(**members))
    message = refused.value.message
    assert message.startswith("Plugin plug offers ")
    assert "\n" not in message
    assert message.endswith((".", "?"))
    assert not message.endswith(("..", "?."))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (component()(), "an object of Mine, which is not a component class"),
        ("Mine", "'Mine', which is not a component class"),
        (None, "None, which is not a component class"),
        (object, "<class 'object'>, which is not a component class"),
    ],
)
def test_what_is_no_component_class(given, words):
    with pytest.raises(PluginFailed, match=words):
        add(given)


GOOD = {
    "keywords": {"run": lambda self, context, **values: {}},
    "anything": {"run": lambda self, *arguments, **values: {}},
    "a default for more": {"run": lambda self, context, value, more=1: {}},
    "keyword only": {"run": lambda self, context, *, value: {}},
    "an input called context": {"inputs": (Input("context"),), "run": lambda self, run, /, context: {}},
    "lists": {"inputs": [Input("value")], "outputs": [Output("text")]},
    "a type's older name": {"outputs": (Output("text", "DataFrame"), Output("more", "BaseChatModel"))},
    "inputs by setting": {"inputs_for": lambda self, settings: (), "run": lambda self, context, value, other: {}},
    "a decorator": {"run": injecting(lambda self, context, database, value: {})},
    "static": {"run": staticmethod(lambda context, value: {})},
    "no inputs": {"inputs": (), "run": lambda self, context: {}},
}


@pytest.mark.parametrize("case", GOOD)
def test_what_fits_is_taken(case):
    assert add(component(**GOOD[case])).component("Mine") is not None


def test_a_class_that_changes_after_it_was_found_sound_is_looked_at_again():
    class Changing(Component):
        type_name = "Changing"
        inputs = (Input("a", "str"),)
        outputs = (Output("text", "Message"),)

        def run(self, context, a):
            return {"text": a}

    assert make_component(Changing) is not make_component(Changing)
    Changing.inputs = (Input("a", "str"), Input("b", "str"))
    with pytest.raises(PluginFailed, match="b"):
        make_component(Changing)
    Changing.run = lambda self, context, a, b: {"text": a}
    make_component(Changing)
    Changing.outputs = (Output("text", "Mesage"),)
    for _ in range(2):
        with pytest.raises(PluginFailed, match="did you mean Message"):
            make_component(Changing)


def test_what_an_object_says_of_itself_is_looked_at_each_time():
    class Own(Component):
        type_name = "Own"
        inputs = (Input("a", "str"),)
        broken = False

        def __init__(self):
            if self.broken:
                self.run = lambda context: {}

        def run(self, context, a):
            return {}

    make_component(Own)
    Own.broken = True
    with pytest.raises(PluginFailed):
        make_component(Own)
