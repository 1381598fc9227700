"""Images for models: the uploads of a message that are images."""

from __future__ import annotations

import base64
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from flowrunner import FlowRunnerError, Message, RunContext

from .failures import ModelRefused
from .protocol import Picture, Turn

logger = logging.getLogger("flowrunner")

#: Bytes and number of the pictures in one request, the newest first. Providers differ; this is what most of them take.
_MOST_BYTES: Final = 20 * 1024 * 1024
_MOST: Final = 10

#: How the kinds of pictures begin that models read: what the bytes say counts, not the name that a client chose.
_BEGINNINGS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def files_of(value: Any) -> tuple[str, ...]:
    """Return the names of the uploads of a message; none for anything else."""
    return tuple(value.files) if isinstance(value, Message) else ()


def with_pictures(context: RunContext, turns: Sequence[Turn]) -> list[Turn]:
    """Return the turns with the pictures among their files, read for the run's owner.

    The newest are taken first, at most ten and 20 MB of them. What is too much, or gone since, is
    named in the text of its turn, so that the model knows of it; files that are not pictures are not
    sent, nor is an earlier turn that consists of such files.

    :raises ValueError: if the newest turn consists of such files.
    """
    room = _Room()
    found = [_with_pictures(context, turn, room) if turn.files else turn for turn in reversed(turns)]
    if found and _is_empty(found[0]):
        raise ValueError("the message to the model is empty: it has no text, and its files are not images")
    return [turn for turn in reversed(found) if not _is_empty(turn)]


def _is_empty(turn: Turn) -> bool:
    return bool(turn.files) and not (turn.text.strip() or turn.pictures)


def only_pictures(turns: Sequence[Turn], taken: Collection[str], model: str) -> list[Turn]:
    """Return the turns with no pictures but of the media types that a model takes; those of earlier turns are left out.

    :raises ModelRefused: if the newest turn has another, since the question may be about it.
    """
    other = [picture.media_type for picture in turns[-1].pictures if picture.media_type not in taken] if turns else []
    if other:
        raise ModelRefused(f"the model {model} does not accept images of type {other[0]}")
    return [replace(t, pictures=tuple(p for p in t.pictures if p.media_type in taken)) for t in turns]


def without_earlier(turns: Sequence[Turn]) -> list[Turn] | None:
    """Return the turns without the pictures of earlier questions; None where that changes nothing.

    None, too, where the newest question has one: it may be about it.
    """
    asked = next((turn for turn in reversed(turns) if turn.role == "user"), None)
    if asked is None or asked.pictures or not any(turn.pictures for turn in turns):
        return None
    return [replace(turn, pictures=()) for turn in turns]


def data_url(picture: Picture) -> str:
    """Return a picture as a ``data:`` URL, as OpenAI's requests carry it."""
    return f"data:{picture.media_type};base64,{base64.b64encode(picture.content).decode('ascii')}"


def media_type_of(content: bytes) -> str | None:
    """Return the media type of a picture by its first bytes; None if it is none that models read."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for beginning, kind in _BEGINNINGS if content.startswith(beginning)), None)


@dataclass(slots=True)
class _Room:
    """What a request still has room for."""

    bytes: int = _MOST_BYTES
    pictures: int = _MOST


def _with_pictures(context: RunContext, turn: Turn, room: _Room) -> Turn:
    pictures, missing = [], []
    for name in turn.files:
        try:
            picture = _read(context, name, room)
        except (FlowRunnerError, OSError) as error:
            logger.info("a file of an earlier message is not sent to the model: %s", error)
            missing.append(name)
            continue
        if picture is not None:
            room.bytes -= len(picture.content)
            room.pictures -= 1
            pictures.append(picture)
    notes = [f"[The file {name.rpartition('/')[2]} is not shown.]" for name in missing]
    return replace(turn, text="\n".join(filter(None, [turn.text, *notes])), pictures=tuple(pictures))


def _read(context: RunContext, name: str, room: _Room) -> Picture | None:
    """Return an upload as a picture, None if it is not a picture.

    :raises BadRequest: if the run's owner has no such upload.
    :raises OSError: if it cannot be read, or there is no room for it.
    """
    path = context.stored_file(name)
    with path.open("rb") as file:
        media_type = media_type_of(file.read(16))
        if media_type is None:
            return None
        if path.stat().st_size > room.bytes or room.pictures < 1:
            raise OSError(f"{name} is larger than one request may carry")
        file.seek(0)
        return Picture(name.rpartition("/")[2], media_type, file.read())
