"""The context of a component: its run, its session and its services."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, overload

from flowrunner.text.budget import MOST_TEXT, TextBudget
from flowrunner.word import Given, Word

if TYPE_CHECKING:
    from flowrunner.components.cancelling import CancelToken
    from flowrunner.memory import OwnerMemory
    from flowrunner.memory.message import Message
    from flowrunner.session import Session
    from flowrunner.vectors import OwnerVectors

T = TypeVar("T")

#: The number of steps of a computing loop between checks whether the run should stop.
_LOOK_EVERY: Final = 256


@dataclass(frozen=True, slots=True)
class Source:
    """The vertex that a value came from."""

    id: str
    display_name: str
    source: str

    def to_json(self) -> dict[str, Any]:
        """Return the object in the properties of a message."""
        return {"id": self.id, "display_name": self.display_name, "source": self.source}


class ConversationMemory(Protocol):
    """The stored messages that a component may use: those of its run's owner and flow."""

    @overload
    def append(self, message: Message) -> Message: ...
    @overload
    def append(self, message: Iterable[Message]) -> list[Message]: ...
    def append(self, message: Message | Iterable[Message]) -> Message | list[Message]:
        """Store one or several messages of this run; an id that the run stored before is updated."""

    def fetch(
        self, *, session_id: str, limit: int | None = None, this_run: bool = False, **query: Any
    ) -> list[Message]:
        """Return earlier messages of a session, oldest first, without errors.

        :param this_run: also return the messages that this run has stored so far.
        """

    @property
    def of_owner(self) -> OwnerMemory:
        """All messages of the owner, in all flows."""


@dataclass(slots=True)
class RunContext:
    """The context of a component: its run, its session and its services.

        ``session`` is the session of the component; ``streaming`` says whether tokens are streamed; ``sources`` has,
        by input, the vertices whose values arrived over edges; ``missing`` has, by input, the variables that were not
        found; ``settings`` are the settings of the runner. ``flow_values`` is a dict shared by all vertices of the
        run. ``wanted`` names the outputs with edges. In a cycle, ``iteration`` is the number of the round, and
        ``leads_back`` names the outputs that lead back to the component. ``vectors`` are the owner's collections in
        the vector store, or None if not available. ``save_file(name, data, append=False)`` writes or appends bytes to
        a file of the owner and flow, and returns the name for ``stored_file``; it may be None as well.

    ``word`` is the origin of the flow; ``given(input)`` returns the origin of the value of an input
    (:class:`~flowrunner.Given`). ``variable(name)`` returns a variable, or None; variables that must not be sent to
    the addresses among the inputs are not returned. A component that knows its destination better passes ``to=`` (a
    :class:`~flowrunner.Word`). ``asked=True`` means that the request chose the name, ``chosen=True`` that it chose
        among names defined by the component.
    """

    flow_id: str
    flow_name: str
    run_id: str
    vertex_id: str
    display_name: str
    owner: str
    session: Session
    memory: ConversationMemory
    cancelled: CancelToken
    variable: Callable[..., str | None]
    settings: Any
    run_flow: Callable[..., Any]
    stored_file: Callable[[str], Any]
    streaming: bool = False
    sources: Mapping[str, Sequence[Source]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    flow_values: dict[str, Any] = field(default_factory=dict)
    wanted: frozenset[str] = frozenset()
    iteration: int = 1
    leads_back: frozenset[str] = frozenset()
    vectors: OwnerVectors | None = None
    word: Word = Word.AUTHOR
    given: Callable[[str], Given] = lambda name: Given(Word.REQUEST, Word.OPERATOR)
    save_file: Callable[..., str] | None = None
    spent: list[dict[str, Any]] = field(default_factory=list)

    def count_tokens(self, model: str, usage: Mapping[str, Any]) -> None:
        """Count the tokens of a model call of this component in the steps and totals of the run.

        Tokens in the ``usage`` of a message that it creates and returns are counted automatically.

        :param usage: a mapping with ``input_tokens`` and ``output_tokens``.
        """
        self.spent.append({**usage, "model": model})

    @property
    def session_id(self) -> str:
        """The id of the session of this component."""
        return self.session.id

    def stamp(self, message: Message) -> Message:
        """Return a message with the session and flow of this component."""
        return message.replace(session_id=self.session.id, flow_id=self.flow_id)

    def text_budget(self) -> TextBudget:
        """Return a budget for the characters that this component generates.

        Take from it before you build a text that is larger than the inputs; the size of outputs is checked in any
        case (``FLOWRUNNER_MAX_TEXT``).
        """
        return TextBudget(getattr(self.settings, "max_text", MOST_TEXT), look=self.cancelled.raise_if_set)

    def watched(self, items: Iterable[T]) -> Iterator[T]:
        """Yield items one by one, and check regularly whether the run should stop.

        Use it for computing loops: nothing else stops them, not even ``FLOWRUNNER_RUN_TIMEOUT``.

        :raises RunCancelled: if the run was cancelled.
        :raises RunTimeout: if the run takes too long.
        """
        for number, item in enumerate(items):
            if not number % _LOOK_EVERY:
                self.cancelled.raise_if_set()
            yield item

    def word_of(self, name: str) -> Word:
        """Return the least trusted origin of the value of an input."""
        return self.given(name).word

    def source_of(self, name: str) -> Source | None:
        """Return the vertex whose value an input received, the first one if there are several."""
        found = self.sources.get(name)
        return found[0] if found else None
