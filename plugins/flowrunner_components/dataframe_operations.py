"""DataFrame Operations: select, sort and change the rows and columns of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from flowrunner import Component, Input, Output, RunContext, text_of

from .data_operations import comparison, number_of, same
from .operations import chosen_operation, words_of
from .tables import MOST_CELLS
from .values import Table, as_table


class DataFrameOperations(Component):
    """Select, sort, rename, add, replace or join columns and rows of a table."""

    type_name = "DataFrameOperations"
    aliases = ("DataFrameOperationsComponent",)
    display_name = "DataFrame Operations"
    inputs = (
        Input("df", "any", many=True, accepts=("Table", "Data", "Message")),
        Input(
            "operation",
            "any",
            info="one of Add Column, Drop Column, Filter, Head, Tail, Rename Column, Replace"
            " Value, Select Columns, Sort, Drop Duplicates, Concatenate, Merge",
        ),
        Input("column_name", "str"),
        Input("filter_value", "str", info="in Filter: the value to compare with"),
        Input("filter_operator", "str", default="equals", info="equals, not equals, contains, greater than, ..."),
        Input("ascending", "bool", default=True, info="in Sort: ascending order"),
        Input("new_column_name", "str", info="in Add Column and Rename Column: the new name"),
        Input("new_column_value", "str", info="in Add Column: the value"),
        Input("columns_to_select", "list", default=[]),
        Input("num_rows", "int", default=5, info="in Head and Tail: the number of rows"),
        Input("replace_value", "str", info="in Replace Value: the value to replace"),
        Input("replacement_value", "str", info="in Replace Value: the new value"),
        Input("left_dataframe", "any", accepts=("Table",), info="in Merge: the left table"),
        Input("right_dataframe", "any", accepts=("Table",), info="in Merge: the right table"),
        Input("merge_on_column", "str", info="in Merge: the column to join on"),
        Input("merge_how", "str", default="inner", options=("inner", "outer", "left", "right")),
    )
    outputs = (Output("output", "Table"), Output("data", "Data"))

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return the table.

        :raises ValueError: if a column is not there, or the operation is unknown.
        """
        tables = [as_table(item) for item in _tables(values["df"])]
        rows = [row for table in tables for row in table]
        name = chosen_operation(values["operation"])
        made = rows
        if name in _OPERATIONS:
            made = _OPERATIONS[name](rows, {**values, _EACH: context.watched})
        elif name not in ("", "Concatenate", "Convert to Data List"):
            raise ValueError(f"operation is {name[:40]!r}; must be one of {', '.join(_OPERATIONS)}, Concatenate")
        return {"output": made, "data": made}


def _tables(given: list[Any]) -> list[Any]:
    """Return what arrived, a table at a time: its rows come one by one."""
    return [item for item in given if item not in (None, "")]


def _column(rows: Table, name: str) -> str:
    """Return the name of a column.

    :raises ValueError: if no row has it.
    """
    if rows and not any(name in row for row in rows):
        known = ", ".join(dict.fromkeys(str(one) for row in rows[:100] for one in row))
        raise ValueError(f"there is no column {name[:80]}; columns are {known[:500]}")
    return name


def _add(rows: Table, values: Mapping[str, Any]) -> Table:
    return [{**row, values["new_column_name"]: values["new_column_value"]} for row in values[_EACH](rows)]


def _drop(rows: Table, values: Mapping[str, Any]) -> Table:
    name = _column(rows, values["column_name"])
    return [{one: value for one, value in row.items() if one != name} for row in values[_EACH](rows)]


def _filter(rows: Table, values: Mapping[str, Any]) -> Table:
    name, holds = _column(rows, values["column_name"]), comparison(values["filter_operator"])
    return [row for row in values[_EACH](rows) if name in row and holds(row[name], values["filter_value"])]


def _head(rows: Table, values: Mapping[str, Any]) -> Table:
    return rows[: max(0, values["num_rows"])]


def _tail(rows: Table, values: Mapping[str, Any]) -> Table:
    count = max(0, values["num_rows"])
    return rows[len(rows) - min(count, len(rows)) :]


def _rename(rows: Table, values: Mapping[str, Any]) -> Table:
    old, new = _column(rows, values["column_name"]), values["new_column_name"]
    return [{(new if name == old else name): value for name, value in row.items()} for row in values[_EACH](rows)]


def _replace(rows: Table, values: Mapping[str, Any]) -> Table:
    name, old, new = _column(rows, values["column_name"]), values["replace_value"], values["replacement_value"]
    return [{**row, name: new} if name in row and same(row[name], old) else row for row in values[_EACH](rows)]


def _select(rows: Table, values: Mapping[str, Any]) -> Table:
    known = {str(name) for row in values[_EACH](rows) for name in row}
    names = list(dict.fromkeys(words_of(values["columns_to_select"])))
    for name in names:
        if rows and name not in known:
            _column(rows, name)
    if len(names) * len(rows) > MOST_CELLS:
        raise ValueError(f"{len(names)} columns of {len(rows)} rows are more than {MOST_CELLS} cells")
    return [{name: row.get(name) for name in names} for row in values[_EACH](rows)]


def _sort(rows: Table, values: Mapping[str, Any]) -> Table:
    name = _column(rows, values["column_name"])

    def order(row: Mapping[str, Any]) -> tuple[bool, float, str]:
        number = number_of(row.get(name))
        return (number is None, number or 0.0, text_of(row.get(name)) if number is None else "")

    return sorted(values[_EACH](rows), key=order, reverse=not values["ascending"])


def _unique(rows: Table, values: Mapping[str, Any]) -> Table:
    name = _column(rows, values["column_name"]) if values["column_name"] else ""
    seen: dict[str, Any] = {}
    for row in values[_EACH](rows):
        seen.setdefault(text_of(row.get(name)) if name else text_of(dict(row, text=None)), row)
    return list(seen.values())


def _merge(rows: Table, values: Mapping[str, Any]) -> Table:
    left, right = as_table(values["left_dataframe"]), as_table(values["right_dataframe"])
    name, how = values["merge_on_column"], values["merge_how"]
    _column(left, name), _column(right, name)
    by_value: dict[str, Table] = {}
    each = values[_EACH]
    for row in each(right):
        by_value.setdefault(text_of(row.get(name)), []).append(row)
    made: Table = []
    met: set[str] = set()
    cells = 0
    for row in each(left):
        key = text_of(row.get(name))
        partners = by_value.get(key, [])
        met.add(key)
        cells += sum(len(row) + len(partner) for partner in each(partners))
        if len(made) + len(partners) > _MOST_ROWS or cells > _MOST_JOINED:
            raise ValueError(f"the joined table has more than {_MOST_ROWS} rows or {_MOST_JOINED} cells")
        made += [{**row, **_apart(row, partner, name)} for partner in partners]
        if not partners and how in ("left", "outer"):
            made.append(row)
    if how in ("right", "outer"):
        made += [row for row in each(right) if text_of(row.get(name)) not in met]
    return made


def _apart(left: Mapping[str, Any], right: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the members of the right row, those that the left one has too under another name."""
    return {(f"{one}_y" if one in left else one): value for one, value in right.items() if one != key}


_MOST_ROWS: Final = 1_000_000
#: Cells of a joined table; each row on one side may have as many partners as there are on the other.
_MOST_JOINED: Final = 5_000_000
#: The name among the values of what hands out rows and looks whether the run should stop.
_EACH: Final = " each"
_OPERATIONS: Final[dict[str, Callable[[Table, Mapping[str, Any]], Table]]] = {
    "Add Column": _add,
    "Drop Column": _drop,
    "Filter": _filter,
    "Head": _head,
    "Tail": _tail,
    "Rename Column": _rename,
    "Replace Value": _replace,
    "Select Columns": _select,
    "Sort": _sort,
    "Drop Duplicates": _unique,
    "Merge": _merge,
}
