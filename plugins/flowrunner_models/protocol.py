"""The protocol between components and models: turns in, text as it is generated, a final reply."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from flowrunner import CancelToken, Tool

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool; ``arguments`` is the JSON text as the model wrote it.

    ``extra`` holds what else the server sent with the call, such as the signature of a thought. Nobody
    here reads it; it goes back with the call.
    """

    id: str
    name: str
    arguments: str
    extra: Mapping[str, Any] = field(default_factory=dict)


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
    ``files`` are the names of uploads; only ``pictures``, read from them, reach a model. ``extra`` is
    that of the :class:`Reply` that an assistant's turn is made of.
    """

    role: Role
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    files: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, or of several added up.

    ``cached_tokens`` are those of the input that the provider had in its prompt cache, and
    ``reasoning_tokens`` those of the output that were thoughts. ``cost`` is in US dollars; None where
    nobody says it.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost: float | None = None

    def __add__(self, other: Usage) -> Usage:
        costs = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            # The sum of some of them would look like the cost of all.
            sum(costs) if len(costs) == 2 else None,
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as the properties of a message carry it; without what is zero or unknown."""
        total = self.input_tokens + self.output_tokens
        found: dict[str, Any] = {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "total_tokens": total,
        }
        if self.cached_tokens:
            found["cached_tokens"] = self.cached_tokens
        if self.reasoning_tokens:
            found["reasoning_tokens"] = self.reasoning_tokens
        if self.cost is not None:
            found["cost"] = round(self.cost, 8)
        return found


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
    """What a model gave in the end: the whole text, the tools it wants called, and what it cost.

    ``thoughts`` is what it thought aloud, which is no part of the text. ``refused`` says that the text
    is its refusal. ``extra`` holds members of the server's answer that nobody here reads; they go back
    with the turn that is made of the reply. ``first_token`` and ``seconds`` say when the first word and
    the whole answer were there.
    """

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None
    reason: str = "stop"
    thoughts: str = ""
    refused: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    first_token: float | None = field(default=None, compare=False)
    seconds: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Aside:
    """Says in a stream that all text that came before it was thought aloud; the answer begins behind it."""

    text: str


#: What a stream consists of; last comes the reply.
Part = str | Aside | Reply


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
    ) -> Iterator[Part]:
        """Ask the model. Yields parts of the text, none empty, and last one :class:`Reply`.

        An :class:`Aside` takes back the parts before it.

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
