"""Read the body of an answer: server-sent events or a JSON document, whichever the server sends."""

from __future__ import annotations

import codecs
import json
from collections.abc import Generator, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Final

from .completions import Chunks, read_completion
from .failures import ModelAnswerInvalid
from .protocol import Aside, Reply

if TYPE_CHECKING:
    from httpx2 import ServerSentEvent

#: Bytes of one event at most: a picture may be in it, a stream without an end may not.
_LARGEST_EVENT: Final = 64 * 1024 * 1024


def read_answer(pieces: Iterable[bytes]) -> Generator[str | Aside, None, Reply]:
    """Read an answer as its bytes come; yield its text, and return the reply.

    What was asked for says little: some servers answer a request for a stream with a whole document,
    and some the other way round.

    :raises ModelFailed: if it is not an answer, breaks off or reports a failure.
    """
    begun, rest = _begin(iter(pieces))
    if begun[:1] in (b"{", b"["):
        reply = read_completion(_document(b"".join((begun, *rest))))
        if reply.text:
            yield reply.text
        return reply
    chunks = Chunks()
    for event in events_of(chain([begun], rest)):
        yield from chunks.read(event.data, failed=event.event == "error")
    yield from chunks.close()
    return chunks.reply()


def events_of(pieces: Iterable[bytes]) -> Iterator[ServerSentEvent]:
    """Return the events of a stream; the last one also where the stream ends without an empty line."""
    import httpx2

    response = httpx2.Response(
        200,
        headers={"content-type": "text/event-stream"},
        content=chain(pieces, [b"\n\n"]),
        # The one of the name that leaves a byte order mark out.
        default_encoding="utf-8-sig",
        request=httpx2.Request("POST", "http://model/"),
    )
    yield from httpx2.EventSource(response, max_event_size=_LARGEST_EVENT)


def _begin(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first bytes that say what the body is, without what may stand before them, and the rest."""
    begun = b""
    for piece in pieces:
        begun = (begun + piece).removeprefix(codecs.BOM_UTF8).lstrip(b" \t\r\n")
        if begun and not codecs.BOM_UTF8.startswith(begun):
            break
    return begun, pieces


def _document(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise ModelAnswerInvalid("the model's answer is not JSON") from None
