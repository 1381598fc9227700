"""The monitor API: copy a session up to one of its messages, to continue from there differently."""

from __future__ import annotations

from typing import Any, Final

from flowrunner.authority import CONVERSE
from flowrunner.errors import BadRequest, NotFound
from flowrunner.memory.message import Message, new_id
from flowrunner.memory.paging import newest_within, weight_of
from flowrunner.web.access import messages_to_change
from flowrunner.web.auth import caller, this_runner
from flowrunner.web.fields import Text, Uuid
from flowrunner.web.route import Input, RouteGroup
from flowrunner.web.schemas import Body, answer
from flowrunner.web.sessions import BASE

#: The maximum number of copied messages, and of their characters: they are stored together, all or none.
MOST_COPIED: Final = 2000
MOST_CHARACTERS: Final = 16 * 1024 * 1024

routes = RouteGroup("sessions")


class Fork(Body):
    """The message at which a session is forked."""

    session_id = Text(required=True, least=1)
    message_id = Uuid(required=True)


#: The copy, and how many messages it has.
Forked: Final = answer("Forked", session_id=str, count=int)


@routes.post(f"{BASE}/sessions/fork", needs=CONVERSE, body=Fork, answers={201: Forked}, errors=(429,))
def fork_session(body: Input) -> dict[str, Any]:
    """Copy the messages before one message of a session to a new session.

    The original session is unchanged. If there are no earlier messages, the new session is empty.
    """
    runner, identity = this_runner(), caller()
    session_id, message_id = body["session_id"], body["message_id"]
    memory = messages_to_change()
    if not memory.fetch(ids=(message_id,), session_id=session_id):
        raise NotFound("The session has no message with this id")
    before, cut = newest_within(memory, MOST_COPIED + 1, MOST_CHARACTERS, session_id=session_id, before=message_id)
    if cut:
        raise BadRequest(
            f"The messages before this one have more than {MOST_CHARACTERS} characters, the limit of a copy."
        )
    if len(before) > MOST_COPIED:
        raise BadRequest(f"There are more than {MOST_COPIED} messages before this one, the limit of a copy.")
    fork = f"chat-{new_id()}"
    copies = [message.replace(id=None, run_id=None, session_id=fork) for message in before]
    if copies:
        runner.count_upload(identity, sum(map(_size_of, copies)))
        runner.memory_of(identity).append(copies)
    return {"session_id": fork, "count": len(copies)}


def _size_of(message: Message) -> int:
    """Return the approximate size of a message in bytes."""
    return weight_of(message) - len(message.text) + len(message.text.encode("utf-8", "replace"))
