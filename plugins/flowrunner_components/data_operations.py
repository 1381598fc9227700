"""Data Operations and related components: select, change and merge the members of objects."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from flowrunner import Component, Input, Message, Output, RunContext, text_of

from .operations import chosen_operation, pairs_of, words_of
from .paths import find_path
from .structured_text import read_json
from .values import Data, as_data, as_table, message_data


class DataOperations(Component):
    """Select, rename, remove, change, filter or join members of objects."""

    type_name = "DataOperations"
    aliases = ("DataOperationsComponent",)
    display_name = "Data Operations"
    inputs = (
        Input("data", "any", required=True, many=True, accepts=("Data", "Table", "Message")),
        Input(
            "operations",
            "any",
            info="one of Select Keys, Literal Eval, Combine, Filter Values, Append or Update,"
            " Remove Keys, Rename Keys, Path Selection, JQ Expression",
        ),
        Input("select_keys_input", "list", default=[], info="in Select Keys: names of the members to keep"),
        Input("remove_keys_input", "list", default=[], info="in Remove Keys: names of the members to remove"),
        Input("rename_keys_input", "any", info="in Rename Keys: an object of old and new names"),
        Input("append_update_data", "any", info="in Append or Update: an object of names and values"),
        Input("filter_key", "list", default=[], info="in Filter Values: the member that holds a list"),
        Input("filter_values", "any", info="in Filter Values: members of its items and the values to compare with"),
        Input("operator", "str", default="equals", info="in Filter Values: equals, contains, greater than, ..."),
        Input("selected_key", "str", info="in Path Selection: a path such as .results[0]"),
        Input("mapped_json_display", "str", info="in Path Selection: the result shown in an editor"),
        Input("query", "str", info="in JQ Expression: a path such as .results[0]"),
    )
    outputs = (Output("data_output", "Data"),)

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return the object.

        :raises ValueError: if there is none, or what the operation wants is missing.
        """
        items = [as_data(_opened(item)) for item in values["data"] if item not in (None, "")]
        if not items:
            raise ValueError("no data was received")
        name = chosen_operation(values["operations"])
        if not name:
            return {"data_output": items[0] if len(items) == 1 else {"results": items}}
        if name not in _OPERATIONS:
            raise ValueError(f"operations is {name[:40]!r}; must be one of {', '.join(_OPERATIONS)}")
        if name == "Combine":
            return {"data_output": combined(context.watched(items))}
        if len(items) > 1:
            raise ValueError(f"{name} takes one object but received {len(items)}")
        return {"data_output": as_data(_OPERATIONS[name](items[0], {**values, _EACH: context.watched}))}


def combined(items: Iterable[Data]) -> Data:
    """Return the members of all objects; values of one name become a list."""
    found: dict[str, list[Any]] = {}
    for item in items:
        for name, value in item.items():
            found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else _flat(values) for name, values in found.items()}


def _flat(values: list[Any]) -> list[Any]:
    return [one for value in values for one in (value if isinstance(value, list) else [value])]


def _opened(value: Any) -> Any:
    """Return the object that a message's text holds, where it holds one."""
    if not isinstance(value, (Message, str)):
        return value
    try:
        found = read_json(text_of(value))
    except (ValueError, RecursionError):
        return value
    return found if isinstance(found, (dict, list)) else value


def _select(item: Data, values: Mapping[str, Any]) -> Data:
    names = words_of(values["select_keys_input"])
    missing = [name for name in names if name not in item]
    if not names or missing:
        raise ValueError(
            f"there is no member {', '.join(missing)[:200]}; members are {', '.join(map(str, item))[:500]}"
            if missing
            else "select_keys_input is empty"
        )
    return {name: item[name] for name in names}


def _remove(item: Data, values: Mapping[str, Any]) -> Data:
    names = set(words_of(values["remove_keys_input"]))
    return {name: value for name, value in item.items() if name not in names}


def _rename(item: Data, values: Mapping[str, Any]) -> Data:
    names = pairs_of(values["rename_keys_input"])
    return {text_of(names.get(name, name)): value for name, value in item.items()}


def _append(item: Data, values: Mapping[str, Any]) -> Data:
    return {**item, **pairs_of(values["append_update_data"])}


def _literal(item: Data, values: Mapping[str, Any]) -> Data:
    """Return members whose texts hold values as those values; JSON, and the words that Python has for it."""
    return {name: _value_in(value) for name, value in item.items()}


def _value_in(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.strip()
    words = {"True": True, "False": False, "None": None}
    if text in words:
        return words[text]
    for tried in (text, text.replace("'", '"')):
        try:
            return read_json(tried)
        except (ValueError, RecursionError):
            continue
    return value


def _filter(item: Data, values: Mapping[str, Any]) -> Data:
    names = words_of(values["filter_key"])
    wanted = pairs_of(values["filter_values"])
    if not names:
        raise ValueError("filter_key is empty")
    rows = item.get(names[0])
    if not isinstance(rows, list):
        raise ValueError(f"the member {names[0]} is not a list")
    holds = comparison(values["operator"])
    kept = [
        row
        for row in values[_EACH](rows)
        if all(holds(row.get(name) if isinstance(row, Mapping) else row, value) for name, value in wanted.items())
    ]
    return {**item, names[0]: kept}


def _path(item: Data, values: Mapping[str, Any]) -> Any:
    return find_path(item, values["selected_key"])


def _query(item: Data, values: Mapping[str, Any]) -> Any:
    if not values["query"].strip():
        raise ValueError("query is empty")
    return find_path(item, values["query"])


#: The name among the values of what hands out rows and looks whether the run should stop.
_EACH: Final = " each"
_OPERATIONS: Final[dict[str, Callable[[Data, Mapping[str, Any]], Any]]] = {
    "Select Keys": _select,
    "Literal Eval": _literal,
    "Combine": lambda item, values: item,
    "Filter Values": _filter,
    "Append or Update": _append,
    "Remove Keys": _remove,
    "Rename Keys": _rename,
    "Path Selection": _path,
    "JQ Expression": _query,
}


def comparison(name: str) -> Callable[[Any, Any], bool]:
    """Return how two values are compared: as numbers where both are, else as texts.

    :raises ValueError: for one that there is not.
    """
    word = name.strip().lower() or "equals"
    if word not in _COMPARISONS:
        raise ValueError(f"the operator is {name[:40]!r}; must be one of {', '.join(_COMPARISONS)}")
    return _COMPARISONS[word]


def same(one: Any, other: Any) -> bool:
    """Return whether two values are equal, be it as a number and its text."""
    left, right = number_of(one), number_of(other)
    if left is not None and right is not None:
        return left == right
    return text_of(one) == text_of(other)


def number_of(value: Any) -> float | None:
    """Return a value as a number; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _by_size(holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(one: Any, other: Any) -> bool:
        left, right = number_of(one), number_of(other)
        if left is not None and right is not None:
            return holds(left, right)
        return holds(text_of(one), text_of(other))

    return compare


_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "equals": same,
    "not equals": lambda one, other: not same(one, other),
    "contains": lambda one, other: text_of(other) in text_of(one),
    "not contains": lambda one, other: text_of(other) not in text_of(one),
    "starts with": lambda one, other: text_of(one).startswith(text_of(other)),
    "ends with": lambda one, other: text_of(one).endswith(text_of(other)),
    "greater than": _by_size(lambda one, other: one > other),
    "less than": _by_size(lambda one, other: one < other),
}


class ParseJsonData(Component):
    """Return what a path selects in an object, as rows."""

    type_name = "ParseJSONData"
    aliases = ("JSONtoDataFilter",)
    display_name = "Parse JSON"
    inputs = (
        Input("input_value", "any", required=True, accepts=("Data", "Table", "Message")),
        Input("query", "str", required=True, info="a path such as .results[0]"),
    )
    outputs = (Output("filtered_data", "Data"),)

    def run(self, context: RunContext, /, *, input_value: Any, query: str) -> Mapping[str, Any]:
        """Return an object for each thing found; one alone is given as it is.

        :raises ValueError: for what is not a path.
        """
        value = _opened(input_value)
        value = message_data(value) if isinstance(value, Message) else value
        found = find_path(value, query)
        if found is None and isinstance(value, (list, tuple)):
            found = [one for item in value if (one := find_path(item, query)) is not None]
        rows = [as_data(one) for one in found] if isinstance(found, list) else [] if found is None else [as_data(found)]
        return {"filtered_data": rows[0] if len(rows) == 1 else rows}


class ExtractKey(Component):
    """Return one member of an object, or of each object in a list."""

    type_name = "ExtractaKey"
    aliases = ("ExtractKey", "ExtractDataKeyComponent")
    display_name = "Extract Key"
    inputs = (
        Input("data_input", "any", required=True, accepts=("Data", "Table")),
        Input("key", "str", required=True, info="name of the member"),
    )
    outputs = (Output("extracted_data", "Data"),)

    def run(self, context: RunContext, /, *, data_input: Any, key: str) -> Mapping[str, Any]:
        """Return the member under its name.

        :raises ValueError: if an object has none of this name.
        """
        if isinstance(data_input, (list, tuple)):
            rows = as_table(data_input)
            return {"extracted_data": [{key: row[key]} for row in rows if key in row]}
        row = as_data(data_input)
        if key not in row:
            raise ValueError(f"there is no member {key[:80]}; members are {', '.join(map(str, row))[:500]}")
        return {"extracted_data": {key: row[key]}}


class FilterData(Component):
    """Keep members of an object by their names."""

    type_name = "FilterData"
    aliases = ("FilterDataComponent",)
    display_name = "Filter Data"
    inputs = (
        Input("data", "any", required=True, accepts=("Data", "Table")),
        Input("filter_criteria", "list", default=[], info="names of the members to keep"),
    )
    outputs = (Output("filtered_data", "Data"),)

    def run(self, context: RunContext, /, *, data: Any, filter_criteria: list[Any]) -> Mapping[str, Any]:
        """Return the members that are kept."""
        names = {name: place for place, name in enumerate(dict.fromkeys(words_of(filter_criteria)))}
        if isinstance(data, (list, tuple)):
            return {"filtered_data": [_kept(row, names) for row in context.watched(as_table(data))]}
        return {"filtered_data": _kept(as_data(data), names)}


def _kept(row: Data, places: Mapping[str, int]) -> Data:
    """Return the members that are named, in the order of their names; names may be many, and rows small."""
    return {name: row[name] for name in sorted(row.keys() & places.keys(), key=places.__getitem__)}


class FilterValues(Component):
    """Keep the objects in a list with a member that satisfies a comparison."""

    type_name = "FilterDataValues"
    aliases = ("DataFilter", "DataFilterComponent")
    display_name = "Filter Values"
    inputs = (
        Input("input_data", "any", required=True, many=True, accepts=("Data", "Table")),
        Input("filter_key", "str", required=True, info="name of the member"),
        Input("filter_value", "str", info="value to compare with"),
        Input("operator", "str", default="equals", info="equals, not equals, contains, starts with, ends with, ..."),
    )
    outputs = (Output("filtered_data", "Data"),)

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return those that are kept.

        :raises ValueError: for an operator that there is not.
        """
        holds, key = comparison(values["operator"]), values["filter_key"]
        rows = [row for item in values["input_data"] for row in context.watched(as_table(item))]
        return {
            "filtered_data": [
                row for row in context.watched(rows) if key in row and holds(row[key], values["filter_value"])
            ]
        }


class MergeData(Component):
    """Combine objects: their members, or as rows."""

    type_name = "MergeDataComponent"
    aliases = ("CombineData", "MergeData")
    display_name = "Combine Data"
    inputs = (
        Input("data_inputs", "any", required=True, many=True, accepts=("Data", "Table", "Message")),
        Input("operation", "str", default="Concatenate", info="Concatenate, Append, Merge or Join"),
    )
    outputs = (Output("combined_data", "Table", aliases=("merged_data", "dataframe")),)

    def run(self, context: RunContext, /, *, data_inputs: list[Any], operation: str) -> Mapping[str, Any]:
        """Return the rows.

        :raises ValueError: for an operation that there is not.
        """
        items = [row for item in data_inputs if item not in (None, "") for row in as_table(item)]
        word = operation.strip().lower() or "concatenate"
        if word not in ("concatenate", "append", "merge", "join"):
            raise ValueError(f"operation is {operation[:40]!r}; must be Concatenate, Append, Merge or Join")
        if word == "append":
            return {"combined_data": items}
        if word == "concatenate":
            return {"combined_data": [_concatenated(context.watched(items))] if items else []}
        if word == "merge":
            return {"combined_data": [combined(context.watched(items))] if items else []}
        joined: Data = {}
        for place, item in enumerate(context.watched(items)):
            joined |= {name if name not in joined else f"{name}_doc{place + 1}": one for name, one in item.items()}
        return {"combined_data": [joined] if items else []}


def _concatenated(items: Iterable[Data]) -> Data:
    # The texts of a name since its last value that is none; what comes after another value takes its place.
    texts: dict[str, list[str]] = {}
    made: Data = {}
    for item in items:
        for name, value in item.items():
            if isinstance(value, str):
                texts.setdefault(name, []).append(value)
                made[name] = None
            else:
                texts.pop(name, None)
                made[name] = value
    return {name: "\n".join(texts[name]) if name in texts else value for name, value in made.items()}
