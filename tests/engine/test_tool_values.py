"""What a tool returns, as a model reads it and as an answer shows it."""

from __future__ import annotations

import json
from collections import deque, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from itertools import count
from pathlib import PurePosixPath
from types import MappingProxyType
from uuid import UUID

import numpy
import pytest
from pydantic import BaseModel

from flowrunner import Component, Input, Message, Output, Tool
from flowrunner.engine.shapes import value_json
from flowrunner.text.plain_values import MOST_COUNTED
from tests.engine.rig import Rig

ID = UUID("12345678-1234-5678-1234-567812345678")


@dataclass
class Point:
    x: int
    at: date


class Colour(Enum):
    RED = "red"


class Model(BaseModel):
    when: date
    price: Decimal


Pair = namedtuple("Pair", "a b")

VALUES = {
    "date": (date(2024, 2, 29), "2024-02-29"),
    "datetime": (datetime(2024, 2, 29, 12, 30, tzinfo=UTC), "2024-02-29T12:30:00+00:00"),
    "time": (time(12, 30), "12:30:00"),
    "timedelta": (timedelta(hours=1), "1:00:00"),
    "decimal": (Decimal("1.10"), "1.10"),
    "fraction": (Fraction(1, 3), "1/3"),
    "uuid": (ID, str(ID)),
    "path": (PurePosixPath("a/b"), "a/b"),
    "enum": (Colour.RED, "red"),
    "surrogate": ("a\ud800b", "a?b"),
    "umlaut": ("ä😀", "ä😀"),
    "bytes": (b"caf\xc3\xa9\xff", "café\ufffd"),
    "nan": (float("nan"), None),
    "infinity": (float("-inf"), None),
    "large": (10**30, 10**30),
    "larger than decimals go": (-(16**5000), f"-0x1{'0' * 5000}"),
    "set of larger ones": ({16**5000}, [f"0x1{'0' * 5000}"]),
    "set": ({3, 1, 2}, [1, 2, 3]),
    "frozen set": (frozenset({"b", "a"}), ["a", "b"]),
    "tuple": ((1, date(2024, 1, 1)), [1, "2024-01-01"]),
    "named tuple": (Pair(1, 2), [1, 2]),
    "range": (range(3), [0, 1, 2]),
    "mapping": (MappingProxyType({"a": ID}), {"a": str(ID)}),
    "keys": ({date(2024, 1, 1): 1, 2: 3, None: 4, "\udc00": 5}, {"2024-01-01": 1, "2": 3, "None": 4, "?": 5}),
    "message": (Message(text="hi\ud800"), "hi?"),
}
RECORDS = {
    "dataclass": (Point(1, date(2024, 1, 1)), {"x": 1, "at": "2024-01-01"}),
    "pydantic": (Model(when=date(2024, 1, 1), price=Decimal("2.5")), {"when": "2024-01-01", "price": "2.5"}),
    "array": (numpy.array([1.0, float("nan")]), [1.0, None]),
    "scalar": (numpy.float64(1.5), 1.5),
    "integer": (numpy.int64(7), 7),
}
NESTED = {name: ({"rows": [value]}, {"rows": [wanted]}) for name, (value, wanted) in {**VALUES, **RECORDS}.items()}


@pytest.mark.parametrize("value, wanted", VALUES.values(), ids=VALUES)
def test_a_value_as_answers_show_it(value, wanted):
    assert value_json(value) == wanted
    json.dumps(value_json(value), allow_nan=False).encode()


@pytest.mark.parametrize(
    "value, wanted",
    [*VALUES.values(), *RECORDS.values(), *NESTED.values()],
    ids=[*VALUES, *RECORDS, *(f"{name} in an object" for name in NESTED)],
)
def test_a_value_as_a_model_reads_it(value, wanted):
    said = Tool("t", "d", {}, lambda arguments: value).answer({})
    assert said == (wanted if isinstance(wanted, str) else json.dumps(wanted, ensure_ascii=False))
    said.encode()


@pytest.mark.parametrize(
    "make, wanted",
    [
        (lambda: (n for n in range(3)), "[0, 1, 2]"),
        (lambda: map(str, [1, date(2024, 1, 1)]), '["1", "2024-01-01"]'),
        (lambda: deque([1, {2}]), "[1, [2]]"),
        (lambda: {"rows": iter([1])}, '{"rows": [1]}'),
        (lambda: iter([]), "[]"),
    ],
    ids=["generator", "map", "deque", "in an object", "empty"],
)
def test_what_is_counted_out_is_a_list_for_a_model(make, wanted):
    assert Tool("t", "d", {}, lambda arguments: make()).answer({}) == wanted


def test_what_has_no_end_is_cut_and_what_is_too_deep_is_refused():
    assert len(json.loads(Tool("t", "d", {}, lambda arguments: count()).answer({}))) == MOST_COUNTED
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deeply"):
        value_json(deep)
    # Else Python takes it apart level by level, on its own stack.
    while deep:
        deep = deep.pop()


@pytest.mark.parametrize("name", ["dataclass", "pydantic", "array"])
def test_an_object_on_an_edge_may_hold_secrets_and_shows_none(name):
    value = RECORDS[name][0]
    assert value_json({"held": value}) == {"held": type(value).__name__}


class Facts(Component):
    """Return the value of a kind."""

    type_name = "Facts"
    inputs = (Input("kind", tool=True, required=True),)
    outputs = (Output("data", "Data"),)

    def run(self, context, kind):
        return {"data": {**VALUES, **RECORDS}[str(kind)][0]}


class Asks(Component):
    """Ask its tool."""

    type_name = "Asks"
    inputs = (Input("tools", "Tool", many=True), Input("kind"))
    outputs = (Output("text"),)

    def run(self, context, tools, kind):
        return {"text": tools[0].answer({"kind": kind})}


def test_a_component_in_tool_mode_answers_the_same(tmp_path):
    rig = Rig(tmp_path, components=(Facts, Asks))
    vertices = [("facts", "Facts"), ("asks", "Asks", {"kind": "datetime"}), ("out", "TextOutput")]
    edges = ["facts.component_as_tool -> asks.tools", "asks.text -> out.input_value"]
    assert rig.run(vertices, edges).text == VALUES["datetime"][1]
    vertices[1] = ("asks", "Asks", {"kind": "surrogate"})
    assert rig.run(vertices, edges).text == "a?b"
    rig.close()
