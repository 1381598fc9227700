"""A digest per session, equal on every backend for equal messages, to compare two stores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from flowrunner.memory import OwnerMemory
from flowrunner.memory.message import Message
from flowrunner.memory.paging import pages_forward
from flowrunner.memory.transfer import read_lines


@dataclass(frozen=True, slots=True)
class SessionDigest:
    """The number of messages of a session, and a SHA-256 digest of all of them in order."""

    owner: str
    session_id: str
    count: int
    digest: str


def digest_sessions(
    memory: OwnerMemory, *, session_id: str | None = None, told: Callable[[int], object] | None = None
) -> list[SessionDigest]:
    """Return the digest of each session, sorted by owner and id.

    :param session_id: only sessions of this id.
    :param told: called with the number of messages on each page that was read.
    """

    def messages() -> Iterator[Message]:
        filters: dict[str, Any] = {} if session_id is None else {"session_id": session_id}
        for page in pages_forward(memory, **filters):
            yield from page
            if told is not None:
                told(len(page))

    return digest_messages(messages())


def digest_lines(lines: Iterable[str | bytes]) -> list[SessionDigest]:
    """Return the digest of each session of an export.

    :raises BadRequest: for an invalid line, with its number.
    """
    return digest_messages(message for _, message in read_lines(lines))


def digest_messages(messages: Iterable[Message]) -> list[SessionDigest]:
    """Return the digest of each session of a stream of messages, such as an export."""
    digests: dict[tuple[str, str], Any] = {}
    counts: dict[tuple[str, str], int] = {}
    for message in messages:
        place = (message.owner, message.session_id)
        found = digests.get(place)
        if found is None:
            found = digests[place] = hashlib.sha256()
        found.update(_canonical(message))
        counts[place] = counts.get(place, 0) + 1
    return [SessionDigest(*place, counts[place], digests[place].hexdigest()) for place in sorted(digests)]


def same_digests(one: Iterable[SessionDigest], other: Iterable[SessionDigest]) -> list[str]:
    """Return a sentence for each session in which two stores differ; none if they are equal."""
    first = {(d.owner, d.session_id): d for d in one}
    second = {(d.owner, d.session_id): d for d in other}
    found = []
    for place in sorted(first.keys() | second.keys()):
        a, b = first.get(place), second.get(place)
        if a != b:
            counts = " and ".join(f"{d.count} messages" if d else "nothing" for d in (a, b))
            found.append(f"session {place[1]!r} of {place[0]}: {counts}" + (", which differ" if a and b else ""))
    return found


def _canonical(message: Message) -> bytes:
    """Return the canonical form of a message, without its owner, which is stored beside the digest."""
    record = message.to_record()
    del record["owner"]
    return json.dumps(_plain(record), sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _plain(value: Any) -> Any:
    """Return a JSON value with canonical numbers: 2.0 becomes 2."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {str(name): _plain(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(member) for member in value]
    return value
