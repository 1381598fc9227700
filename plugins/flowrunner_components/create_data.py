"""Components that create data from values written into them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from flowrunner import Component, Input, Message, Output, RunContext, text_of

from .tables import markdown_table
from .values import as_data, json_text, message_data


class CreateList(Component):
    """Turn texts into a list of objects and a table."""

    type_name = "CreateList"
    aliases = ("CreateListComponent",)
    display_name = "Create List"
    inputs = (Input("texts", "str", many=True, info="texts of the list"),)
    outputs = (Output("list", "Data"), Output("dataframe", "Table"))

    def run(self, context: RunContext, /, *, texts: list[Any]) -> Mapping[str, Any]:
        """Return a row for each text."""
        rows = [{"text": text_of(text)} for text in texts]
        return {"list": rows, "dataframe": rows}


class Pass(Component):
    """Pass a message on once another one has arrived."""

    type_name = "Pass"
    display_name = "Pass"
    inputs = (
        Input("input_message", required=True),
        Input("ignored_message", accepts=("Data", "Table"), info="a value to wait for; it is not used"),
    )
    outputs = (Output("output_message"),)

    def run(self, context: RunContext, /, *, input_message: Any, ignored_message: Any) -> Mapping[str, Any]:
        """Return the message."""
        return {"output_message": input_message}


_NAMES: Final = ("Ann", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gina", "Hal")
_CITIES: Final = ("Oslo", "Lima", "Kyoto", "Bergen", "Quito")
_ROWS: Final = 50


class MockData(Component):
    """Return sample data for trying a flow: a message, an object and a table."""

    type_name = "MockDataGenerator"
    aliases = ("MockData",)
    display_name = "Mock Data"
    inputs = ()
    outputs = (Output("dataframe_output", "Table"), Output("message_output"), Output("data_output", "Data"))

    def run(self, context: RunContext, /) -> Mapping[str, Any]:
        """Return the same data each time."""
        rows = [
            {
                "id": number + 1,
                "name": _NAMES[number % len(_NAMES)],
                "city": _CITIES[number % len(_CITIES)],
                "age": 20 + 7 * number % 50,
                "amount": round(19.5 + 3.25 * (number * 13 % 31), 2),
                "active": number % 3 != 0,
            }
            for number in range(_ROWS)
        ]
        data = {"records": rows[:5], "summary": {"count": 5, "total": sum(float(str(r["amount"])) for r in rows[:5])}}
        text = f"{_ROWS} made-up people; the first ones are\n{markdown_table(rows[:3])}"
        return {
            "dataframe_output": rows,
            "message_output": Message(text=text, flow_id=context.flow_id),
            "data_output": data,
        }


class CreateData(Component):
    """Return an object with the members listed in a table, each of them an input."""

    type_name = "DynamicCreateData"
    aliases = ("CreateData",)
    display_name = "Dynamic Create Data"
    inputs = (
        Input("form_fields", "list", default=[], info="rows of field_name and field_type"),
        Input("include_metadata", "bool", default=False, info="also return the names of the members"),
    )
    outputs = (Output("form_data", "Data", aliases=("data",)), Output("message"))

    def inputs_for(self, settings: Mapping[str, Any]) -> Sequence[Input]:
        """Return the inputs: an input ``dynamic_NAME`` for each row."""
        return (*self.inputs, *_fields(settings.get("form_fields")))

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return the object, and its members as lines of text."""
        found: dict[str, Any] = {}
        for declared in _fields(values["form_fields"]):
            value = values.get(declared.name)
            found[declared.name.removeprefix("dynamic_")] = _plain(value)
        text = "\n".join(
            f"**{name}:** {value if isinstance(value, str) else json_text(value)}" for name, value in found.items()
        )
        names = {"form_metadata": {"fields": list(found)}} if values["include_metadata"] else {}
        return {"form_data": {**found, **names}, "message": Message(text=text, flow_id=context.flow_id)}


def _fields(rows: Any) -> Iterator[Input]:
    seen: set[str] = set()
    for row in rows if isinstance(rows, (list, tuple)) else ():
        name = str(row.get("field_name") or "").strip() if isinstance(row, Mapping) else ""
        if name and len(name) <= 100 and name not in seen and len(seen) < 100:
            seen.add(name)
            kind = str(row.get("field_type") or "Text").lower()
            kind = {"number": "float", "integer": "int", "boolean": "bool"}.get(kind, "any")
            yield Input(f"dynamic_{name}", kind, accepts=("Message", "Data", "Table"), tool=kind == "any")


def _plain(value: Any) -> Any:
    """Return what arrived as JSON: a text for a message."""
    if isinstance(value, Message):
        return value.text if value.text or not value.files else message_data(value)
    return as_data(value) if isinstance(value, Mapping) else value
