"""The files of a run request: names of uploads that its chat input gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flowrunner.engine.request import RunRequest
from flowrunner.flows.model import Flow
from flowrunner.registry import Registry
from flowrunner.web.input import invalid


def with_files(asked: RunRequest, names: Sequence[str], flow: Flow, registry: Registry) -> RunRequest:
    """Return a request whose files are handed to the flow's chat inputs, as tweaks of theirs.

    Whether they are the caller's, the component looks for itself.

    :raises RequestInvalid: for a flow without a chat input: the files would be dropped without a word.
    """
    inputs = [vertex.id for vertex in flow.vertices if _takes_files(vertex.type, registry)]
    if not inputs:
        raise invalid(("body", "files"), "value_error", "This flow has no chat input that takes files")
    tweaks = dict(asked.tweaks)
    for vertex_id in inputs:
        given = tweaks.get(vertex_id)
        tweaks[vertex_id] = {**(given if isinstance(given, dict) else {}), "files": list(names)}
    return replace(asked, tweaks=tweaks)


def _takes_files(kind: str, registry: Registry) -> bool:
    component = registry.component(kind)
    if component is None or component.input_kind != "chat":
        return False
    return any("files" in (one.name, *one.aliases) for one in component.inputs)
