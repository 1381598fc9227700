"""The protocol between components and models: turns go in, text comes out as it is made, a reply ends it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from flowrunner import CancelToken, Tool

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool; ``arguments`` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that goes to a model with a turn: its name for people, its media type, its bytes."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation.

    ``calls`` are what an assistant asked for; ``call_id`` says which of them a ``tool`` turn answers.
    ``files`` are the names of uploads; only ``pictures``, read from them, reach a model.
    """

    role: Role
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    files: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, or of several added up."""

    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens)

    def to_json(self) -> dict[str, int]:
        """Return it as the properties of a message carry it."""
        total = self.input_tokens + self.output_tokens
        return {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens, "total_tokens": total}


@dataclass(frozen=True, slots=True)
class Options:
    """How to answer. None leaves the choice to the provider.

    ``retries`` are further tries after 429, 5xx and broken connections; ``timeout`` is in seconds
    of silence. ``json_mode`` asks for a JSON object of any shape. ``extra`` goes into the request
    as it is.
    """

    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    json_mode: bool = False
    timeout: float = 120.0
    retries: int = 2
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model gave in the end: the whole text, the tools it wants called, and what it cost."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None
    reason: str = "stop"


class ChatModel(ABC):
    """A model, ready to be asked. One object may serve several runs and threads at a time.

    ``name`` and ``provider`` are for people; ``options`` are those of the component that made it.
    ``context_tokens`` is the size of its window where it is known.
    """

    name: str
    provider: str
    options: Options
    context_tokens: int | None = None

    @abstractmethod
    def stream(
        self,
        turns: Sequence[Turn],
        *,
        tools: Sequence[Tool] = (),
        schema: Mapping[str, Any] | None = None,
        options: Options | None = None,
        live: bool = True,
        cancelled: CancelToken | None = None,
    ) -> Iterator[str | Reply]:
        """Ask the model. Yields parts of the text, none empty, and last one :class:`Reply`.

        :param turns: the conversation, the newest last.
        :param tools: what the model may call; it does not call them itself.
        :param schema: JSON schema of the answer.
        :param options: in place of the model's own.
        :param live: whether somebody reads along; else the text may come in one part.
        :param cancelled: ends the call when it is set.
        :raises ModelFailed: if no whole answer came.
        :raises RunCancelled: if it was cancelled.
        """

    def ask(self, turns: Sequence[Turn], **more: Any) -> Reply:
        """Ask the model and return its reply; see :meth:`stream`."""
        reply = Reply()
        for part in self.stream(turns, live=False, **more):
            if isinstance(part, Reply):
                reply = part
        return reply
