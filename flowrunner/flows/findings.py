"""The codes of findings that readers and checks report about a flow."""

from __future__ import annotations

from typing import Final

from flowrunner.errors import EdgeInvalid, FlowInvalid
from flowrunner.flows.model import Finding, Flow

UNREADABLE: Final = "unreadable"
MISSING_VERTEX: Final = "missing-vertex"
EDGE_INVALID: Final = "edge-invalid"
UNKNOWN_OUTPUT: Final = "unknown-output"
UNKNOWN_INPUT: Final = "unknown-input"
UNCLEAR_PORT: Final = "unclear-port"
UNKNOWN_COMPONENT: Final = "unknown-component"
SAVED_COMPONENT: Final = "saved-component"
CYCLE: Final = "cycle"
ISLAND: Final = "island"
NO_INPUT: Final = "no-input"
EDITED_COMPONENT: Final = "edited-component"
SEVERAL_EDGES: Final = "several-edges"
EMPTY_FLOW: Final = "empty-flow"
BAD_ID: Final = "bad-id"
BAD_ENDPOINT_NAME: Final = "bad-endpoint-name"
REFUSED: Final = "refused"
STANDS_IN: Final = "stands-in"

#: Every code, with what it means.
FINDINGS: Final = {
    UNREADABLE: "the file, or this flow in it, cannot be read",
    MISSING_VERTEX: "an edge names a component that does not exist",
    EDGE_INVALID: "an edge carries a type that its input does not accept",
    UNKNOWN_OUTPUT: "an edge starts at an output that the component does not have",
    UNKNOWN_INPUT: "an edge leads to an input that the component does not have; the value is ignored",
    UNCLEAR_PORT: "an edge does not name an output or input, but the component has several",
    UNKNOWN_COMPONENT: "no plugin offers a component of this type",
    SAVED_COMPONENT: "the file is a saved component, not a flow",
    CYCLE: "components form a cycle without a router that can end it",
    ISLAND: "a component cannot be reached from the flow's input, so it does not run",
    NO_INPUT: "a chat or text output has no incoming edge, so it does not run",
    EDITED_COMPONENT: "the code of a stock component was changed; the stock component runs instead",
    SEVERAL_EDGES: "several edges lead into an input that takes one value",
    EMPTY_FLOW: "the flow has no components",
    BAD_ID: "the id in the file is not a UUID; one is derived from the flow's name",
    BAD_ENDPOINT_NAME: "the endpoint name in the file is not valid in a URL and is ignored",
    REFUSED: "the flow cannot be prepared to run",
    STANDS_IN: "a component named after a service uses the store that a setting selects",
}

#: Findings of an edge, which the reference server answers with 500.
EDGE_CODES: Final = frozenset({EDGE_INVALID, UNKNOWN_OUTPUT, UNCLEAR_PORT})


def errors_of(flow: Flow) -> list[Finding]:
    """Return the findings of the reader because of which the flow cannot run."""
    return [finding for finding in flow.findings if finding.level == "error"]


def refuse_unrunnable(flow: Flow) -> None:
    """Refuse a flow that its reader found cannot run.

    :raises EdgeInvalid: for an edge between ports that do not fit.
    :raises FlowInvalid: for any other finding of the level ``error``.
    """
    errors = errors_of(flow)
    if errors:
        kind = EdgeInvalid if errors[0].code in EDGE_CODES else FlowInvalid
        raise kind(errors[0].message)
