"""Every way in which the ends of an edge are written."""

import json

import pytest

from flowrunner.flows.handles import read_source, read_target
from tests.flows.exports import oe, source_handle, target_handle

SOURCE = source_handle("ChatInput-a", "message", ["Message"])
TARGET = target_handle("ChatOutput-b", "input_value", ["Data", "Message"], "other")


def wrongly_decoded(handle):
    return oe(handle).encode().decode("cp1252")


@pytest.mark.parametrize(
    "write",
    [oe, lambda h: oe(h, separators=(",", ":")), json.dumps, wrongly_decoded, dict],
    ids=["spaced", "compact", "plain JSON", "wrongly decoded", "object"],
)
@pytest.mark.parametrize("inside_data", [True, False])
def test_handles_of_langflow(write, inside_data):
    handles = {"sourceHandle": write(SOURCE), "targetHandle": write(TARGET)}
    edge = {"data": handles} if inside_data else handles
    source, target = read_source(edge), read_target(edge)
    assert (source.name, source.types, source.vertex) == ("message", ("Message",), "ChatInput-a")
    assert (target.name, target.types, target.vertex) == ("input_value", ("Data", "Message", "other"), "ChatOutput-b")
    assert not target.feedback


def test_the_handle_in_data_counts_before_the_string():
    edge = {"sourceHandle": oe({**SOURCE, "name": "old"}), "data": {"sourceHandle": SOURCE}}
    assert read_source(edge).name == "message"


def test_a_null_in_data_leaves_the_string():
    edge = {
        "sourceHandle": oe(SOURCE),
        "targetHandle": oe(TARGET),
        "data": {"sourceHandle": None, "targetHandle": None},
    }
    assert (read_source(edge).name, read_target(edge).name) == ("message", "input_value")


def test_pipes_of_the_first_releases():
    edge = {
        "sourceHandle": "JsonToolkit|dndnode_19|BaseToolkit|Toolkit",
        "targetHandle": "BaseToolkit|toolkit|dndnode_33",
    }
    source, target = read_source(edge), read_target(edge)
    assert (source.name, source.types, source.vertex) == (None, ("BaseToolkit", "Toolkit"), "dndnode_19")
    assert (target.name, target.types, target.vertex) == ("toolkit", ("BaseToolkit",), "dndnode_33")


def test_pipes_with_several_types():
    assert read_target({"targetHandle": "Text;str|input_value|ChatOutput-1"}).types == ("Text", "str")


def test_base_classes_instead_of_an_output():
    handle = {"baseClasses": ["str", "Text"], "dataType": "ChatInput", "id": "ChatInput-a"}
    source = read_source({"data": {"sourceHandle": handle}})
    assert (source.name, source.types) == (None, ("str", "Text"))


def test_plain_names_as_models_write_them():
    edge = {
        "sourceHandle": "reply",
        "targetHandle": "user_input",
        "data": {"sourceHandle": {"fieldName": "reply", "outputTypes": ["str"]}},
    }
    assert (read_source(edge).name, read_source(edge).types) == ("reply", ("str",))
    assert read_target(edge).name == "user_input"
    assert read_source({"sourceHandle": "reply"}).name == "reply"


def test_an_edge_back_into_a_loop():
    handle = {"dataType": "LoopComponent", "id": "Loop-a", "name": "item", "output_types": ["Data"]}
    target = read_target({"data": {"targetHandle": handle}})
    assert (target.name, target.feedback) == ("item", True)


@pytest.mark.parametrize("handle", [None, "", {}, [], 3, "{œ", "{broken}", {"name": 3}, {"fieldName": ["x"]}])
def test_what_says_nothing_gives_no_name(handle):
    edge = {"sourceHandle": handle, "targetHandle": handle, "data": "?"}
    assert read_source(edge).name is None
    assert read_target(edge).name is None
