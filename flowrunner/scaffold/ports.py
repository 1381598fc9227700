"""The ports of a node in an export: names, types and flags, but no code and no values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flowrunner.components.ports import INPUT_TYPES, OBJECT_TYPES, canonical_type
from flowrunner.errors import BadRequest, FlowRunnerError
from flowrunner.flows.reading import find_graph, read_parts

_PORTS: Final = frozenset((*INPUT_TYPES, *OBJECT_TYPES))
#: Types of fields in exports, and what they hold.
_FIELDS: Final = {
    "int": "int",
    "float": "float",
    "slider": "float",
    "bool": "bool",
    "dict": "dict",
    "NestedDict": "dict",
    "table": "list",
    "sortableList": "any",
    "other": "any",
    "SecretStr": "secret",
    "tools": "list",
}
_OBJECTS: Final = ("LanguageModel", "Embeddings", "Tool", "Memory", *OBJECT_TYPES, "Table", "Data", "Message")
_MOST_DEEP: Final = 20
_LONGEST: Final = 200
_MOST_PORTS: Final = 500


@dataclass(frozen=True, slots=True)
class FoundPort:
    """An input or output as a flow tells of it."""

    name: str
    type: str
    required: bool = False
    accepts: tuple[str, ...] = ()
    many: bool = False
    tool: bool = False


@dataclass(frozen=True, slots=True)
class FoundNode:
    """A node as a flow tells of it."""

    display_name: str
    description: str
    inputs: tuple[FoundPort, ...]
    outputs: tuple[FoundPort, ...]


def find_node(flow: bytes, type_name: str) -> FoundNode:
    """Return the first node of a type in a flow.

    :param flow: the file as it was exported.
    :raises BadRequest: if it cannot be read, is in the native form, which tells of no ports, or has no such node.
    """
    known: list[str] = []
    try:
        parts = read_parts(flow)
        graphs = [find_graph(part.raw)[0] for part in parts if part.error is None]
    except FlowRunnerError as error:
        raise BadRequest(f"The flow cannot be read: {error.message}") from error
    for graph in graphs:
        for node in _nodes(graph):
            if node["type"] == type_name:
                return _read(node["node"])
            known.append(str(node["type"])[:_LONGEST])
    if not known:
        raise BadRequest(
            "The file is not an exported flow with nodes; the native form does not list inputs and outputs."
        )
    raise BadRequest(f"The flow has no node of the type {type_name}; it has {', '.join(sorted(set(known)))[:1000]}.")


def _nodes(graph: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield the data of all nodes, those in groups too."""
    nodes = graph.get("nodes") if isinstance(graph, Mapping) else None
    for entry in nodes if isinstance(nodes, list) else ():
        data = entry.get("data") if isinstance(entry, Mapping) else None
        if not isinstance(data, Mapping) or not isinstance(data.get("node"), Mapping):
            continue
        inner = data["node"].get("flow")
        if isinstance(inner, Mapping) and depth < _MOST_DEEP:
            yield from _nodes(inner.get("data"), depth + 1)
        if isinstance(data.get("type"), str):
            yield data


def _read(node: Mapping[str, Any]) -> FoundNode:
    template = node.get("template")
    fields = template.items() if isinstance(template, Mapping) else ()
    inputs = [_input(name, field) for name, field in fields if _is_input(name, field)]
    outputs = node.get("outputs")
    found = [_output(one) for one in (outputs if isinstance(outputs, list) else ()) if _is_output(one)]
    if len(inputs) > _MOST_PORTS or len(found) > _MOST_PORTS:
        raise BadRequest(f"The node has more than {_MOST_PORTS} inputs or outputs.")
    unique = {port.name: port for port in found}
    return FoundNode(
        _plain(node.get("display_name")), _plain(node.get("description")), tuple(inputs), tuple(unique.values())
    )


def _is_input(name: Any, field: Any) -> bool:
    return (
        isinstance(field, Mapping)
        and isinstance(name, str)
        and _is_name(name)
        and name not in ("code", "tool_placeholder")
        and field.get("type") != "code"
    )


def _is_output(output: Any) -> bool:
    return isinstance(output, Mapping) and isinstance(output.get("name"), str) and _is_name(output["name"])


def _is_name(name: str) -> bool:
    return name.isidentifier() and not name.startswith("_") and len(name) <= _LONGEST


def _input(name: str, field: Mapping[str, Any]) -> FoundPort:
    kinds = _known(field.get("input_types"))
    word = str(field.get("type") or "str")
    if field.get("password") is True or field.get("load_from_db") is True and word == "SecretStr":
        kind = "secret"
    elif word == "other" and kinds:
        kind = next((one for one in _OBJECTS if one in kinds), "any")
    elif word == "str" and "Message" in kinds:
        kind = "Message"
    else:
        kind = _FIELDS.get(word, "str" if word in ("str", "file", "prompt", "query", "link", "mcp", "tab") else "any")
    accepts = tuple(one for one in kinds if one != kind) if kind != "secret" else ()
    return FoundPort(
        name,
        kind,
        required=field.get("required") is True,
        accepts=accepts,
        many=field.get("list") is True and kind not in ("list", "dict", "any"),
        tool=field.get("tool_mode") is True,
    )


def _output(output: Mapping[str, Any]) -> FoundPort:
    kinds = _known(output.get("types"))
    return FoundPort(str(output["name"]), kinds[0] if kinds else "Message")


def _known(types: Any) -> list[str]:
    """Return those of some port types that there are here, under their present names."""
    found = (canonical_type(one) for one in (types if isinstance(types, list) else ()) if isinstance(one, str))
    return list(dict.fromkeys(one for one in found if one in _PORTS))


def _plain(text: Any) -> str:
    """Return a text of a flow for people: no control characters, and not long."""
    shown = text if isinstance(text, str) else ""
    return "".join(one if one.isprintable() else " " for one in shown[:_LONGEST]).strip()
