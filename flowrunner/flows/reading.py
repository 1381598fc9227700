"""Read flow files of any format."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flowrunner.errors import FlowInvalid, FlowRunnerError
from flowrunner.flows import findings as codes
from flowrunner.flows.archives import is_archive, members
from flowrunner.flows.examples import read_examples
from flowrunner.flows.langflow import read_graph
from flowrunner.flows.model import Finding, Flow, hash_content
from flowrunner.flows.naming import canonical_uuid, derived_id, endpoint_name_from, is_endpoint_name
from flowrunner.flows.native import read_native
from flowrunner.flows.parsing import Limits, Path, check_depth, check_texts, parse_json, place
from flowrunner.flows.shape import nearest

#: Keys of which a file has one, by which its form is known.
FORM_KEYS = ("components", "data", "nodes", "flows")


@dataclass(frozen=True, slots=True)
class Part:
    """One flow of a file: its JSON and the flow, or why there is none. ``label`` says which one it is."""

    label: str
    raw: Mapping[str, Any]
    flow: Flow | None = None
    error: FlowRunnerError | None = None


def read_flows(
    data: bytes | str | Mapping[str, Any],
    *,
    name_hint: str = "",
    endpoint_hint: str | None = None,
    limits: Limits | None = None,
) -> list[Flow]:
    """Read all flows of a file: native form, Langflow export in any wrapper, or an archive of such files.

    :param data: the file's bytes or text, or JSON that is already read.
    :param name_hint: name of a flow that brings none.
    :param endpoint_hint: endpoint name of a single flow that brings none.
    :raises FlowInvalid: for the first thing that cannot be read; what can be read but cannot run
        is in :attr:`Flow.findings` with the level ``error``.
    """
    flows = []
    for part in read_parts(data, name_hint=name_hint, endpoint_hint=endpoint_hint, limits=limits):
        if part.error is not None:
            raise part.error
        if part.flow is not None:
            flows.append(part.flow)
    return flows


def read_parts(
    data: bytes | str | Mapping[str, Any],
    *,
    name_hint: str = "",
    endpoint_hint: str | None = None,
    limits: Limits | None = None,
) -> list[Part]:
    """Read a file as :func:`read_flows` does, but keep what is wrong with one flow apart from the others."""
    limits = limits or Limits()
    try:
        found = list(_find_flows(data, name_hint, limits))
        if len(found) > limits.max_flows:
            raise FlowInvalid(f"The file has {len(found)} flows; at most {limits.max_flows} are accepted.")
    except FlowRunnerError as error:
        return [Part(name_hint, {}, error=error)]
    return [
        part if part.error else _read_part(part, name_hint, endpoint_hint if len(found) == 1 else None, limits)
        for part in found
    ]


def _find_flows(data: bytes | str | Mapping[str, Any], label: str, limits: Limits) -> Iterator[Part]:
    """Yield the JSON of each flow in a file."""
    if isinstance(data, bytes) and is_archive(data):
        for member, content in members(data, limits):
            yield from _guarded(content, member, limits)
        return
    if isinstance(data, (bytes, str)):
        value = parse_json(data, limits)
    else:
        value = dict(data)
        check_depth(value, limits)
        check_texts(value)
    yield from unwrap(value, label)


def _guarded(content: bytes, member: str, limits: Limits) -> list[Part]:
    try:
        return list(unwrap(parse_json(content, limits), member))
    except FlowRunnerError as error:
        return [Part(member, {}, error=FlowInvalid(f"{member}: {error.message}"))]


def unwrap(value: Any, label: str) -> Iterator[Part]:
    """Yield the JSON of each flow in that of a file: the file itself, or the entries of its list of flows.

    A list stands for itself also beside members of a single flow that are empty.

    :raises FlowInvalid: if the file holds neither an object nor a list.
    """
    single = isinstance(value, Mapping)
    wrapped = value.get("flows") if single else value
    if single and (not isinstance(wrapped, list) or any(value.get(key) for key in ("components", "data", "nodes"))):
        yield Part(label, value)
        return
    if not isinstance(wrapped, list):
        raise FlowInvalid("Not a flow: the file must contain an object or a list of flows.")
    for index, entry in enumerate(wrapped):
        if isinstance(entry, Mapping):
            yield Part(f"{label}[{index}]", entry)
        else:
            error = FlowInvalid(f"{place('flows', index)}: must be an object.")
            yield Part(f"{label}[{index}]", {}, error=error)


def _read_part(part: Part, name_hint: str, endpoint_hint: str | None, limits: Limits) -> Part:
    try:
        flow = read_flow(part.raw, name_hint=name_hint or part.label, endpoint_hint=endpoint_hint, limits=limits)
    except FlowRunnerError as error:
        return Part(part.label, part.raw, error=error)
    return Part(part.label, part.raw, flow)


def read_flow(
    raw: Mapping[str, Any], *, name_hint: str = "", endpoint_hint: str | None = None, limits: Limits | None = None
) -> Flow:
    """Read one flow out of JSON that is already checked; see :func:`read_flows`.

    :raises FlowInvalid: naming the place of what cannot be read.
    """
    limits = limits or Limits()
    noticed: list[Finding] = []
    graph, path = find_graph(raw)
    read = read_native if is_native(graph) else read_graph
    vertices, edges, found = read(graph, limits, path)
    noticed += found
    name = raw.get("name") if isinstance(raw.get("name"), str) and raw["name"] else name_hint
    limits.check_name(str(name), "name")
    is_component = raw.get("is_component") is True
    if is_component:
        message = "The file is a saved component, not a flow, so it cannot run."
        noticed.append(Finding(codes.SAVED_COMPONENT, message, level="error"))
    description = raw.get("description")
    return Flow(
        id=_id_of(raw, str(name), noticed),
        name=str(name),
        vertices=vertices,
        edges=edges,
        endpoint_name=_endpoint_name_of(raw, endpoint_hint, noticed),
        description=description if isinstance(description, str) else "",
        is_component=is_component,
        findings=tuple(noticed),
        content_hash=_hash(hash_content(vertices, edges), noticed),
        idempotent=raw.get("idempotent") is True or graph.get("idempotent") is True,
        examples=read_examples(raw, graph),
    )


def is_native(graph: Any) -> bool:
    """Return whether a graph is in the native form."""
    return isinstance(graph, Mapping) and "components" in graph


def find_graph(raw: Mapping[str, Any]) -> tuple[Mapping[str, Any], Path]:
    """Return the object with components, or with nodes, and edges; and where it stands.

    :raises FlowInvalid: if there is none.
    """
    if "components" in raw or (raw.get("data") is None and raw.get("nodes") is not None):
        return raw, ()
    if "data" in raw:
        data = raw["data"]
        if data is None:
            return {}, ("data",)
        if not isinstance(data, Mapping):
            raise FlowInvalid("data: must be an object with nodes and edges.")
        if data and not any(key in data for key in ("components", "nodes", "edges")):
            raise FlowInvalid(f"data: has neither nodes nor edges, but {_shown_keys(data)}.")
        return data, ("data",)
    if "nodes" in raw:
        return raw, ()
    hints = [hint for key in list(raw)[:20] if (hint := nearest(key, FORM_KEYS)) != "."]
    raise FlowInvalid(
        "Not a flow: it has neither components (native form) nor data or nodes (Langflow export),"
        f" but {_shown_keys(raw)}{hints[0] if hints else '.'}"
    )


def _shown_keys(raw: Mapping[str, Any]) -> str:
    keys = [key[:40] for key in list(raw)[:8]]
    return f"the keys {', '.join(keys)}" if keys else "nothing"


def _id_of(raw: Mapping[str, Any], name: str, noticed: list[Finding]) -> str:
    own = raw.get("id")
    found = canonical_uuid(own)
    if found is not None:
        return found
    if own not in (None, ""):
        message = "The id in the file is not a UUID; one is derived from the flow's name."
        noticed.append(Finding(codes.BAD_ID, message))
    return derived_id(name)


def _endpoint_name_of(raw: Mapping[str, Any], hint: str | None, noticed: list[Finding]) -> str | None:
    own = raw.get("endpoint_name")
    if is_endpoint_name(own):
        return str(own)
    if own not in (None, ""):
        message = "The endpoint name in the file is ignored: only letters, digits, - and _ are allowed."
        noticed.append(Finding(codes.BAD_ENDPOINT_NAME, message))
    return endpoint_name_from(hint) if hint else None


def _hash(content: str, noticed: list[Finding]) -> str:
    """Return the content hash; what makes a flow unrunnable counts too, so that it never shares a plan."""
    errors = [f"{finding.code}: {finding.message}" for finding in noticed if finding.level == "error"]
    if not errors:
        return content
    return hashlib.sha256("\n".join([content, *errors]).encode()).hexdigest()
