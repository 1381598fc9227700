"""Flows created over the API: which members are accepted, and how flows are stored and shown."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row

from flowrunner.errors import FlowInvalid, RequestInvalid
from flowrunner.flows.examples import read_examples
from flowrunner.flows.naming import is_endpoint_name
from flowrunner.flows.native import read_native
from flowrunner.flows.parsing import Limits
from flowrunner.flows.reading import is_native
from flowrunner.store.sealing import seal, unseal
from flowrunner.store.secretbox import SecretBox
from flowrunner.text.json_text import is_unicode

#: Members stored only for clients, with their defaults.
EXTRA: Final[Mapping[str, Any]] = {
    "icon": None,
    "icon_bg_color": None,
    "gradient": None,
    "tags": None,
    "locked": False,
    "mcp_enabled": False,
    "action_name": None,
    "action_description": None,
    "access_type": "PRIVATE",
    "flow_type": "workflow",
    "a2a_enabled": False,
    "a2a_card_overrides": None,
    "folder_id": None,
    "workspace_id": None,
    "name_key": None,
}

#: Members that are stored but not shown: the name of the project that a flow was imported with.
_UNSHOWN: Final = ("project",)
#: Members that are stored, and shown if a flow has them.
_OPTIONAL: Final = ("examples",)

#: All members of a flow in the API.
_MEMBERS: Final = frozenset(
    {
        "id",
        "name",
        "description",
        "data",
        "is_component",
        "endpoint_name",
        "updated_at",
        "webhook",
        "user_id",
        "version_token",
        *EXTRA,
        *_OPTIONAL,
    }
)
_HEADER: Final = (
    "folder_id",
    "access_type",
    "tags",
    "mcp_enabled",
    "flow_type",
    "a2a_enabled",
    "a2a_card_overrides",
    "action_name",
    "action_description",
)
_LONGEST_NAME: Final = 255


@dataclass(frozen=True, slots=True)
class StoredFlow:
    """A flow of one owner as it is stored; ``data`` is unchanged from the request."""

    id: str
    owner: str
    name: str
    endpoint_name: str | None
    description: str | None
    is_component: bool
    data: Mapping[str, Any] | None
    extra: Mapping[str, Any]
    version: str
    created_at: str
    updated_at: str

    @property
    def webhook(self) -> bool:
        """Whether the flow has a webhook component."""
        graph = self.data or {}
        if is_native(graph):
            return any(component.get("type") == "Webhook" for component in _components(graph).values())
        nodes = graph.get("nodes")
        return any(_type_of(node) == "Webhook" for node in nodes) if isinstance(nodes, list) else False

    def to_json(self) -> dict[str, Any]:
        """Return the flow as the API shows it."""
        return {
            "name": self.name,
            "description": self.description,
            "data": self.data,
            "is_component": self.is_component,
            "updated_at": self.updated_at[:19] + "+00:00",
            "webhook": self.webhook,
            "endpoint_name": self.endpoint_name,
            **EXTRA,
            **{name: value for name, value in self.extra.items() if name not in _UNSHOWN},
            "id": self.id,
            "user_id": self.owner,
            "version_token": self.version,
        }

    @property
    def examples(self) -> tuple[str, ...]:
        """Example inputs."""
        return read_examples(self.extra, self.data or {})

    def to_header(self) -> dict[str, Any]:
        """Return the flow as lists show it, without its data; a saved component keeps its data."""
        return {
            "id": self.id,
            "name": self.name,
            "is_component": self.is_component,
            "endpoint_name": self.endpoint_name,
            "description": self.description,
            "data": self.data if self.is_component else None,
            "updated_at": self.updated_at[:19] + "+00:00",
            **{name: self.extra.get(name, EXTRA[name]) for name in _HEADER},
            **({"examples": list(self.examples)} if self.examples else {}),
        }


def read_row(row: Row[Any], box: SecretBox | None = None) -> StoredFlow:
    """Return the flow in a row, with credentials decrypted."""
    data = None if row.data is None else json.loads(row.data)
    return StoredFlow(
        id=row.id,
        owner=row.owner,
        name=row.name,
        endpoint_name=row.endpoint_name,
        description=row.description,
        is_component=bool(row.is_component),
        data=data if box is None else unseal(data, box),
        extra=json.loads(row.extra),
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def check_values(values: Mapping[str, Any], max_vertices: int, box: SecretBox | None = None) -> dict[str, Any]:
    """Return the values to store from the members that a client sent, by column, with credentials encrypted.

    The graph may be under ``data`` or, as in files, at the top level.

    :raises RequestInvalid: if a member cannot be stored, with the entries of a 422 answer.
    """
    values = with_graph(values)
    columns: dict[str, Any] = {}
    if values.get("name") is not None:
        columns["name"] = checked_text("name", values["name"], _LONGEST_NAME)
        if not columns["name"].strip():
            raise invalid("name", "Flow name cannot be empty")
    if "description" in values:
        given = values["description"]
        columns["description"] = None if given is None else checked_text("description", given)
    if "endpoint_name" in values:
        columns["endpoint_name"] = _endpoint_name(values["endpoint_name"])
    if values.get("is_component") is not None:
        columns["is_component"] = bool(values["is_component"])
    if values.get("data") is not None:
        graph = _graph(values["data"], max_vertices)
        try:
            columns["data"] = json.dumps(graph if box is None else _seal_graph(graph, box))
        except RecursionError:
            raise invalid("data", "the flow is nested too deeply") from None
    return columns


def _seal_graph(graph: Mapping[str, Any], box: SecretBox) -> Any:
    """Return a graph with credentials encrypted; the native form also lists the fields with encrypted values."""
    sealed = seal(graph, box)
    for name, component in _components(graph).items() if is_native(graph) else ():
        kept, secrets = sealed["components"][name], component.get("secrets")
        if not secrets or not isinstance(kept, dict):
            continue
        kept["secrets"] = secrets
        for key in ("settings", "hidden"):
            for field, value in component.get(key, {}).items():
                if field in secrets:
                    kept[key][field] = _seal_password(value, box)
    return sealed


def _seal_password(value: Any, box: SecretBox) -> Any:
    return seal({"password": True, "value": value}, box)["value"]


def with_graph(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the members of a flow with its graph under ``data``; files may have it at the top level."""
    if values.get("components") is not None:
        # Unknown keys count as part of the graph, so that a misspelt key is reported.
        graph = {key: value for key, value in values.items() if key not in _MEMBERS}
    elif values.get("data") is not None:
        return values
    elif values.get("nodes") is not None:
        graph = {key: values[key] for key in ("nodes", "edges", "viewport") if key in values}
    else:
        return values
    return {**{key: value for key, value in values.items() if key not in graph}, "data": graph}


def extra_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members stored only for clients."""
    return {name: values[name] for name in (*EXTRA, *_UNSHOWN, *_OPTIONAL) if name in values}


def free_name(wanted: str, others: Collection[str]) -> str:
    """Return an unused name: ``wanted`` or ``wanted (1)``, counting on from the highest number."""
    return wanted if wanted not in others else f"{wanted} ({_next_number(wanted, others, ' (', ')')})"


def free_endpoint_name(wanted: str, others: Collection[str]) -> str:
    """Return an unused endpoint name: ``wanted`` or ``wanted-1``, and so on."""
    return wanted if wanted not in others else f"{wanted}-{_next_number(wanted, others, '-', '')}"


def _next_number(wanted: str, others: Collection[str], before: str, after: str) -> int:
    numbered = re.compile(re.escape(wanted + before) + r"(\d{1,9})" + re.escape(after))
    return 1 + max((int(found[1]) for other in others if (found := numbered.fullmatch(other))), default=0)


def _endpoint_name(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not is_endpoint_name(value) or len(value) > _LONGEST_NAME:
        raise invalid("endpoint_name", "Endpoint name must contain only letters, numbers, hyphens, and underscores")
    return str(value)


def checked_text(name: str, value: Any, longest: int = 1_000_000) -> str:
    """Return a text that a client gave, if every database can keep it.

    :param name: of the member of the body.
    :raises RequestInvalid: if it is none, or too long.
    """
    if not isinstance(value, str) or len(value) > longest:
        raise invalid(name, f"must be a string of at most {longest} characters")
    if "\0" in value or not is_unicode(value):
        raise invalid(name, "contains characters that cannot be stored")
    return value


def _graph(data: Any, max_vertices: int) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise invalid("data", "Flow must be a valid JSON")
    if "components" in data:
        vertices = data["components"]
    elif "nodes" not in data:
        raise invalid("data", "Flow must have nodes")
    elif "edges" not in data:
        raise invalid("data", "Flow must have edges")
    else:
        vertices = data["nodes"]
    if isinstance(vertices, (list, Mapping)) and len(vertices) > max_vertices:
        raise invalid("data", f"Flow must have at most {max_vertices} nodes")
    edges, most = data.get("edges"), Limits().max_edges
    if isinstance(edges, list) and len(edges) > most:
        raise invalid("data", f"Flow must have at most {most} edges")
    if is_native(data):
        try:
            read_native(data, Limits(max_vertices=max_vertices))
        except FlowInvalid as error:
            raise invalid("data", error.message.rstrip(".")) from None
    return data


def invalid(field: str, reason: str) -> RequestInvalid:
    """Return the refusal of a member of the body."""
    return RequestInvalid(
        f"{field}: {reason}.", [{"type": "value_error", "loc": ["body", field], "msg": f"Value error, {reason}"}]
    )


def _components(graph: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the components of a graph in the native form, by id."""
    found = graph["components"]
    entries = found.items() if isinstance(found, Mapping) else ()
    return {name: entry for name, entry in entries if isinstance(entry, Mapping)}


def _type_of(node: Any) -> Any:
    data = node.get("data") if isinstance(node, Mapping) else None
    return data.get("type") if isinstance(data, Mapping) else None
