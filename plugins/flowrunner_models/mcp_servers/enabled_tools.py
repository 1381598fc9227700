"""The tools of an MCP server that a flow may use: chosen by its author, reduced by a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowrunner import RunContext, Word, text_of

from .server_choice import ChosenServer, ServerRefused


def switched_on(context: RunContext, server: ChosenServer, values: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the names of the tools that are switched on; None where there is no table.

    A request may switch tools off, and on those alone of a server that it brings itself.
    """
    asked, given = _names_in(values["tools_metadata"]), context.given("tools_metadata")
    if given.word is not Word.REQUEST or server.word is Word.REQUEST:
        return asked
    own = _names_in(given.own)
    if own is None or asked is None:
        return asked if own is None else own
    return own & asked


def chosen_tool(context: RunContext, server: ChosenServer, values: Mapping[str, Any]) -> str:
    """Return the name of the one tool that a flow calls; blank if it names none.

    :raises ServerRefused: if a request names one that the author has neither chosen nor switched on.
    """
    name, given = text_of(values["tool"]).strip(), context.given("tool")
    if not name or given.word is not Word.REQUEST or server.word is Word.REQUEST:
        return name
    if name == text_of(given.own or "").strip() or name in (_authors_table(context, values) or ()):
        return name
    raise ServerRefused(
        f"the tool of the MCP server {server.label[:100]} is set by the flow's author, not by a request:"
        f" {name[:100]} is neither selected nor enabled in the flow"
    )


def _authors_table(context: RunContext, values: Mapping[str, Any]) -> frozenset[str] | None:
    given = context.given("tools_metadata")
    return _names_in(given.own if given.word is Word.REQUEST else values["tools_metadata"])


def _names_in(rows: Any) -> frozenset[str] | None:
    """Return the names of the tools that a table has switched on; None where it has no rows."""
    found = [row for row in rows if isinstance(row, Mapping) and row.get("name")] if isinstance(rows, list) else []
    if not found:
        return None
    return frozenset(str(row["name"]) for row in found if row.get("status", True))
