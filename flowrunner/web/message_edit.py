"""Edit a message: the members that may change, and the files that it may name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from flowrunner.errors import BadRequest, NotFound
from flowrunner.memory import MessageChanges
from flowrunner.memory.message import Message, make_properties
from flowrunner.runner import Runner
from flowrunner.web.access import messages_to_change
from flowrunner.web.auth import caller
from flowrunner.web.fields import Items, Object, Text, Truth
from flowrunner.web.schemas import Body

_FOREIGN_FILE: Final = "Message attachment is outside the permitted storage scope."


class MessageEdit(Body):
    """What may be changed in a message; null and other members change nothing."""

    text = Text(allow_none=True)
    sender = Text(allow_none=True, least=1)
    sender_name = Text(allow_none=True, least=1)
    session_id = Text(allow_none=True, least=1)
    context_id = Text(allow_none=True)
    files = Items(Text(), allow_none=True)
    edit = Truth(allow_none=True)
    error = Truth(allow_none=True)
    properties = Object(allow_none=True)
    session_metadata = Object(allow_none=True)
    category = Text(allow_none=True)
    content_blocks = Items(Object(), allow_none=True)


def apply_edit(runner: Runner, message_id: str, body: Mapping[str, Any]) -> Message:
    """Change a message of the present caller and return it. A new text marks it as edited, whatever else is asked.

    :param body: as :class:`MessageEdit` reads it.
    :raises NotFound: if the caller has no such message.
    :raises BadRequest: for a file that is none of the caller's uploads.
    """
    given = {name: value for name, value in body.items() if value is not None}
    if "properties" in given:
        given["properties"] = make_properties(**given["properties"])
    for name in given.keys() & {"files", "content_blocks"}:
        given[name] = tuple(given[name])
    changes = MessageChanges(**given)
    _check_files(runner, changes)
    memory = messages_to_change(runner)
    found = memory.fetch(ids=(message_id,))
    if found and caller().flows is not None:
        # A key that is limited to flows names files of the message's flow alone.
        _check_files(runner, changes, found[0].flow_id or "")
    if found and changes.text is not None and changes.text != found[0].text:
        changes = replace(changes, edit=True)
    if found and changes.given():
        found = memory.update(changes, ids=(message_id,))
    if not found:
        raise NotFound("Message not found")
    return found[0]


def _check_files(runner: Runner, changes: MessageChanges, flow_id: str | None = None) -> None:
    """Refuse files that the caller may not name in a message.

    :param flow_id: the flow whose files alone may be named.
    """
    for name in changes.files or ():
        try:
            runner.stores_of(caller()).files.path_of(name, flow_id=flow_id)
        except BadRequest:
            raise BadRequest(_FOREIGN_FILE) from None
