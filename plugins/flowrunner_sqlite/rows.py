"""Convert messages to and from rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from typing import Any, Final

from flowrunner import Message, MessageInvalid, json_text
from flowrunner_sqlite.tables import messages

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND: Final = timedelta(microseconds=1)

#: The columns of a message, without ``seq``, in the order in which rows hold them.
COLUMNS: Final = tuple(column.name for column in messages.columns if column.name != "seq")

_JSON: Final = ("files", "properties", "content_blocks", "session_metadata")
_PLAIN: Final = ("context_id", "sender", "sender_name", "text", "category", "error", "edit", "duration")

_DIGEST: Final = "sha256:"
_LONGEST_KEY: Final = 60

Row = Sequence[Any]


def session_key(session_id: str) -> str:
    """Return what stands for a session id in indexes: the id itself, or the digest of a long one.

    Session ids have any length and indexes have not. An id that looks like a digest is digested
    too, so no two ids share a key.
    """
    if len(session_id) <= _LONGEST_KEY and not session_id.startswith(_DIGEST):
        return session_id
    return _DIGEST + sha256(session_id.encode()).hexdigest()


def flow_key(flow_id: str | None) -> str:
    """Return what stands for a flow id in the table of sessions, where no column may be empty."""
    return "-" if flow_id is None else "=" + flow_id


def micros(moment: datetime) -> int:
    """Return a timestamp as microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(number: int) -> datetime:
    """Return the timestamp of :func:`micros`."""
    return _EPOCH + number * _MICROSECOND


def _unchanged(text: Any) -> Any:
    return text


def _escape(text: Any) -> Any:
    """Write a text for PostgreSQL, whose texts hold no NUL."""
    if isinstance(text, str) and ("\0" in text or "\x1b" in text):
        return text.replace("\x1b", "\x1be").replace("\0", "\x1b0")
    return text


def _unescape(text: Any) -> Any:
    if isinstance(text, str) and "\x1b" in text:
        return text.replace("\x1b0", "\0").replace("\x1be", "\x1b")
    return text


class RowFormat:
    """How one kind of database holds messages.

    :param dialect: SQLAlchemy's name of it.
    """

    def __init__(self, dialect: str) -> None:
        self.escape: Callable[[Any], Any] = _escape if dialect == "postgresql" else _unchanged
        self._unescape: Callable[[Any], Any] = _unescape if dialect == "postgresql" else _unchanged
        self._escapes = dialect == "postgresql"

    def to_row(self, message: Message) -> tuple[Any, ...]:
        """Return the columns of a message, in the order of :data:`COLUMNS`.

        :raises MessageInvalid: if it holds what is not JSON.
        """
        session_id = message.session_id
        files, blocks, metadata = message.files, message.content_blocks, message.session_metadata
        try:
            key = session_key(session_id)
            row = (
                message.id,
                message.owner,
                key,
                None if key is session_id else session_id,
                message.flow_id,
                message.run_id,
                message.context_id,
                message.sender,
                message.sender_name,
                message.text,
                micros(message.timestamp),
                json_text(files) if files else "[]",
                json_text(message.properties),
                json_text(blocks) if blocks else "[]",
                message.category,
                message.error,
                message.edit,
                message.duration,
                None if metadata is None else json_text(metadata),
            )
        except (TypeError, ValueError, RecursionError) as error:
            raise MessageInvalid(f"The message {message.id} cannot be stored: {error}.") from error
        return tuple(map(_escape, row)) if self._escapes else row

    def to_message(self, row: Row) -> Message:
        """Return the message of a row that holds ``seq`` and then :data:`COLUMNS`."""
        if self._escapes:
            row = tuple(map(_unescape, row))
        (
            _,
            id_,
            owner,
            key,
            long_id,
            flow_id,
            run_id,
            context_id,
            sender,
            sender_name,
            text,
            timestamp,
            files,
            properties,
            blocks,
            category,
            error,
            edit,
            duration,
            metadata,
        ) = row
        return Message(
            id=id_,
            owner=owner,
            session_id=key if long_id is None else long_id,
            flow_id=flow_id,
            run_id=run_id,
            context_id=context_id,
            sender=sender,
            sender_name=sender_name,
            text=text,
            timestamp=moment(timestamp),
            files=() if files == "[]" else tuple(json.loads(files)),
            properties=json.loads(properties),
            content_blocks=() if blocks == "[]" else tuple(json.loads(blocks)),
            category=category,
            error=error,
            edit=edit,
            duration=duration,
            session_metadata=None if metadata is None else json.loads(metadata),
        )

    def to_columns(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return changes of a message as columns and their values.

        :raises MessageInvalid: if a value is not JSON.
        """
        columns: dict[str, Any] = {name: self.escape(given[name]) for name in _PLAIN if name in given}
        try:
            columns |= {name: json_text(given[name]) for name in _JSON if name in given}
        except (TypeError, ValueError, RecursionError) as error:
            raise MessageInvalid(f"The change cannot be stored: {error}.") from error
        if "session_id" in given:
            key = self.key(given["session_id"])
            session_id = self.escape(given["session_id"])
            columns |= {"session_key": key, "long_session_id": None if key == session_id else session_id}
        return columns

    def key(self, session_id: str) -> str:
        """Return the key of a session id as the database holds it."""
        return str(self.escape(session_key(session_id)))

    def session_id(self, key: str, long_id: str | None) -> str:
        """Return the session id behind a key."""
        return str(self._unescape(key if long_id is None else long_id))

    def text(self, value: Any) -> Any:
        """Return a text that the database holds as it was before."""
        return self._unescape(value)
