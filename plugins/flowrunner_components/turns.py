"""Distinguish the user's messages of a run from replies, so that a reply never overwrites one."""

from __future__ import annotations

from typing import Final

from flowrunner import Message, RunContext

_TURNS: Final = "flowrunner_components.turns"


def mark_turn(context: RunContext, message: Message) -> None:
    """Note that this vertex gave the user's turn, under which id it is stored, if it is."""
    marked: set[str] = context.flow_values.setdefault(_TURNS, set())
    marked.add(context.vertex_id)
    if message.id is not None:
        marked.add(message.id)


def is_turn_of(context: RunContext, vertex_id: str) -> bool:
    """Return whether a vertex gave the user's turn in this run."""
    return vertex_id in context.flow_values.get(_TURNS, ())


def is_own_row(context: RunContext, message: Message) -> bool:
    """Return whether a message is a row that this run stored in this component's session."""
    return message.id is not None and message.run_id == context.run_id and message.session_id == context.session_id


def may_become_reply(context: RunContext, message: Message) -> bool:
    """Return whether a reply takes over the row of a message instead of making one of its own.

    A row that a Message History stored in this run does; the user's own turn does not, nor does
    a row of another session, which would vanish from there.
    """
    return is_own_row(context, message) and message.id not in context.flow_values.get(_TURNS, ())
