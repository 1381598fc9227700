"""What a component knows about its run."""

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

#: After so many steps of a loop that computes it is looked whether the run should stop.
_LOOK_EVERY: Final = 256


@dataclass(frozen=True, slots=True)
class Source:
    """The vertex from which a value came."""

    id: str
    display_name: str
    source: str

    def to_json(self) -> dict[str, Any]:
        """Return it as it stands in the properties of a message."""
        return {"id": self.id, "display_name": self.display_name, "source": self.source}


class ConversationMemory(Protocol):
    """What a component may do with stored messages: those of its run's owner and flow only."""

    @overload
    def append(self, message: Message) -> Message: ...
    @overload
    def append(self, message: Iterable[Message]) -> list[Message]: ...
    def append(self, message: Message | Iterable[Message]) -> Message | list[Message]:
        """Store a message of this run, or several (an update, if this run stored that id before)."""

    def fetch(
        self, *, session_id: str, limit: int | None = None, this_run: bool = False, **query: Any
    ) -> list[Message]:
        """Return earlier messages of a session, oldest first, without errors.

        :param this_run: return those of this run, too, as far as they are stored by now.
        """

    @property
    def of_owner(self) -> OwnerMemory:
        """All messages of the owner, in every flow."""


@dataclass(slots=True)
class RunContext:
    """What a component knows about its run.

    ``session`` is the decided session; ``streaming`` says whether anybody reads tokens;
    ``sources`` names, by input, the vertices whose values arrived over edges; ``missing`` names, by
    input, variables that were not found; ``settings`` are the runner's settings.
    ``flow_values`` is a dict that all vertices of one run share. ``wanted`` names the outputs from
    which an edge leads on. In a cycle, ``iteration`` says which time this is that the component runs, and
    ``leads_back`` names the outputs that lead to it again. ``vectors`` are
    the owner's collections in the chosen vector store; None where a run was given none.
    ``save_file(name, data, append=False)`` keeps bytes among the owner's files of this flow, under a
    name that is taken over or added to, and returns the name by which ``stored_file`` finds them;
    None likewise.

    ``word`` says whose the flow is, ``given(input)`` who had a hand in the value of an input
    (:class:`~flowrunner.Given`). ``variable(name)`` returns a variable, or None; what is more secret
    than the addresses among the inputs may have is not handed out. A component that knows better
    where it goes says so with ``to=`` (a :class:`~flowrunner.Word`). ``asked=True`` says that the
    request chose the name, ``chosen=True`` that it chose among names of the component's own.
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
        """Count the tokens of a model that this component asked, in the steps and totals of the run.

        Those in the ``usage`` of a message that it creates and returns are counted by themselves.

        :param usage: has ``input_tokens`` and ``output_tokens``.
        """
        self.spent.append({**usage, "model": model})

    @property
    def session_id(self) -> str:
        """The id of the session that this component works in."""
        return self.session.id

    def stamp(self, message: Message) -> Message:
        """Return a message that says to which session and flow it belongs."""
        return message.replace(session_id=self.session.id, flow_id=self.flow_id)

    def text_budget(self) -> TextBudget:
        """Return what counts the characters that this component is about to make.

        Take from it before making a text that is larger than what came in; what goes out is
        measured anyway (``FLOWRUNNER_MAX_TEXT``).
        """
        return TextBudget(getattr(self.settings, "max_text", MOST_TEXT), look=self.cancelled.raise_if_set)

    def watched(self, items: Iterable[T]) -> Iterator[T]:
        """Yield items one by one, and look now and then whether the run should stop.

        For a loop that computes: nothing else stops it, not even ``FLOWRUNNER_RUN_TIMEOUT``.

        :raises RunCancelled: if the run was cancelled.
        :raises RunTimeout: if it takes too long.
        """
        for number, item in enumerate(items):
            if not number % _LOOK_EVERY:
                self.cancelled.raise_if_set()
            yield item

    def word_of(self, name: str) -> Word:
        """Return the least trusted who decided on the value of an input."""
        return self.given(name).word

    def source_of(self, name: str) -> Source | None:
        """Return the vertex that fed an input, the first if there are several."""
        found = self.sources.get(name)
        return found[0] if found else None
