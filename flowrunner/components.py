"""The contract of a component: what a vertex of a flow does when it runs."""

from __future__ import annotations

import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Protocol, TypeVar, overload

from flowrunner.errors import RunCancelled, RunTimeout
from flowrunner.memory import OwnerMemory
from flowrunner.memory.message import Message
from flowrunner.session import Session
from flowrunner.text.budget import MOST_TEXT, TextBudget
from flowrunner.text.plain_values import as_json
from flowrunner.vectors import OwnerVectors
from flowrunner.word import Given, Word

T = TypeVar("T")

#: After so many steps of a loop that computes it is looked whether the run should stop.
_LOOK_EVERY: Final = 256

#: Port types, and the names that older exports use for them.
TYPE_ALIASES: Final[Mapping[str, str]] = {
    "JSON": "Data",
    "Record": "Data",
    "DataFrame": "Table",
    "Text": "Message",
    "str": "Message",
    "BaseLanguageModel": "LanguageModel",
    "BaseChatModel": "LanguageModel",
    "BaseLLM": "LanguageModel",
}

#: What an input may hold; the engine converts settings and tweaks to it.
INPUT_TYPES: Final = (
    "Message",
    "str",
    "int",
    "float",
    "bool",
    "Data",
    "Table",
    "dict",
    "list",
    "secret",
    "LanguageModel",
    "Tool",
    "Embeddings",
    "Memory",
    "any",
)

#: What else stands on edges of flows: objects that components of one plugin hand to each other.
OBJECT_TYPES: Final = ("Document", "Retriever", "VectorStore")


#: How inputs are called that hold addresses.
_ADDRESS_NAME: Final = re.compile(
    r"(?:^|_)(?:url|urls|uri|uris|host|hostname|endpoint|address|addresses|dsn|server|webhook|proxy|curl|origin"
    r"|api_base|base_path|connection_string)(?:_|$)",
    re.IGNORECASE,
)


#: How names begin of values that the vertices of one run share; see :meth:`Component.fills_with`.
SHARED: Final = "\0"


def canonical_type(name: str) -> str:
    """Return the port type under its present name: ``JSON`` is ``Data``, ``DataFrame`` is ``Table``."""
    return TYPE_ALIASES.get(name, name)


@dataclass(frozen=True, slots=True)
class Input:
    """A declared input of a component.

    ``type`` is one of :data:`INPUT_TYPES`: ``Message``, ``str`` and ``secret`` take text (a
    ``Message`` input may get a whole :class:`~flowrunner.Message` over an edge, a ``str`` input
    gets its text), ``Data`` a JSON object, ``Table`` a list of JSON objects. ``accepts`` names
    further port types that an edge may bring. ``many`` collects several edges into a list.
    ``tool`` puts the input into the schema when the component serves as an agent's tool.
    ``address`` says whether it holds an address that the component reaches; where that is left
    open, a text whose name says so (``base_url``, ``endpoint``) does. ``absent`` is its value in files
    of releases that did not have it yet: those that list other fields, and not this one.
    """

    name: str
    type: str = "Message"
    required: bool = False
    default: Any = None
    accepts: tuple[str, ...] = ()
    many: bool = False
    aliases: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    tool: bool = False
    info: str = ""
    address: bool | None = None
    absent: Any = None

    @property
    def holds_address(self) -> bool:
        """Whether it holds an address that the component reaches."""
        if self.address is not None:
            return self.address
        return self.type in ("Message", "str", "secret") and _ADDRESS_NAME.search(self.name) is not None

    def takes(self, port_type: str) -> bool:
        """Say whether an edge may bring a value of this port type."""
        wanted = {canonical_type(t) for t in (self.type, *self.accepts)}
        return bool(wanted & {canonical_type(port_type), "any"})


@dataclass(frozen=True, slots=True)
class Output:
    """A declared output: its name on edges, the port type, and older names of it."""

    name: str
    type: str = "Message"
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """The vertex from which a value came."""

    id: str
    display_name: str
    source: str

    def to_json(self) -> dict[str, Any]:
        """Return it as it stands in the properties of a message."""
        return {"id": self.id, "display_name": self.display_name, "source": self.source}


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that a model may call: a component in tool mode, or a function of a plugin.

    ``parameters`` is the JSON schema of the arguments; ``call(arguments)`` returns the result as
    data or text and raises for arguments that it cannot take.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    call: Callable[[Mapping[str, Any]], Any]
    vertex_id: str | None = None

    def answer(self, arguments: Mapping[str, Any]) -> str:
        """Call it, and return the result as a model reads it: a text as it is, anything else as JSON.

        Dates, decimal numbers and ids are text in it, and records have their members.
        """
        plain = as_json(self.call(arguments), Message, records=True)
        return plain if isinstance(plain, str) else _json(plain)


class CancelToken:
    """Says that a run should stop; components that wait look at it. It is true once the run should."""

    __slots__ = ("_acts", "_event", "_late", "_lock", "deadline", "reason")

    def __init__(self) -> None:
        #: A reading of the monotonic clock after which the run should stop, too; None where it may take any time.
        self.deadline: float | None = None
        self._late = ""
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._acts: list[Callable[[], object]] = []
        self.reason = ""

    def cancel(self, reason: str = "cancelled") -> None:
        """Ask the run to stop. Only the first reason is kept."""
        self.reason = self.reason or reason
        with self._lock:
            self._event.set()
            acts, self._acts = self._acts, []
        for act in acts:
            act()

    @contextmanager
    def stops_at(self, deadline: float | None, late: str) -> Iterator[None]:
        """Count as set after a moment, for the length of a block; an earlier one that is set already stays.

        So a loop that looks at the token stops in time, although nobody cancels it.

        :param late: what :class:`~flowrunner.RunTimeout` says then.
        """
        before = self.deadline, self._late
        if deadline is not None and (self.deadline is None or deadline < self.deadline):
            self.deadline, self._late = deadline, late
        try:
            yield
        finally:
            self.deadline, self._late = before

    def _is_late(self) -> bool:
        return self.deadline is not None and time.monotonic() > self.deadline

    def call_when_set(self, act: Callable[[], object]) -> Callable[[], None]:
        """Have something done at the moment of the cancellation, at once if that has passed.

        For what waits where it cannot look, such as a socket: ``act`` ends the waiting. It runs on
        the thread that cancels and must not raise.

        :returns: a function that forgets ``act`` again.
        """
        with self._lock:
            if not self._event.is_set():
                self._acts.append(act)
                return lambda: self._forget(act)
        act()
        return lambda: None

    def _forget(self, act: Callable[[], object]) -> None:
        with self._lock:
            if act in self._acts:
                self._acts.remove(act)

    def is_set(self) -> bool:
        """Say whether the run should stop."""
        return self._event.is_set() or self._is_late()

    __bool__ = is_set

    def wait(self, seconds: float) -> bool:
        """Wait at most that long for a cancellation; say whether it came."""
        if self.deadline is not None:
            seconds = min(seconds, max(0.0, self.deadline - time.monotonic()))
        return self._event.wait(seconds) or self._is_late()

    def raise_if_set(self) -> None:
        """Raise :class:`~flowrunner.RunCancelled` if the run should stop.

        :raises RunTimeout: if it should because it takes too long.
        """
        if self._event.is_set():
            raise RunCancelled(f"The run was stopped: {self.reason}.")
        if self._is_late():
            raise RunTimeout(self._late)


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
    """What a component knows of the run that it is part of.

    ``session`` is the decided session; ``streaming`` says whether anybody reads tokens;
    ``sources`` names, by input, the vertices whose values arrived over edges; ``missing`` names, by
    input, variables that were found nowhere; ``settings`` are the runner's settings.
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


Outputs = Mapping[str, Any]
RunResultValue = Outputs | Generator[Any, None, Outputs]


class Component(ABC):
    """What a vertex does. **This docstring is the contract.**

    A component is a class without state: one instance serves all runs, in all threads. Its
    attributes say what it is, :meth:`run` says what it does.

    ``run`` gets its context and exactly its declared inputs as keywords, converted to their
    types, with defaults filled in. It returns a mapping by output name; an output that is left
    out is a branch not taken, and everything downstream of it does not run, except what one of the outputs
    that it returns leads to as well. A ``run``
    that is a generator yields text as it comes (the parts are sent to whoever reads the stream)
    and returns the mapping. It may also yield a message without text: its content blocks (the steps
    of an agent) are shown at once, and what was said before counts as a step, not as the answer.
    What it raises ends the run with the component's name; so does an output that was never declared,
    a part that is neither text nor message, and a value that its output's type cannot be: a
    ``Message``, ``Data`` or ``Table`` output takes text, messages, numbers, dates, mappings and lists.

    A ``session_id`` input need not be declared: the engine decides the session of every vertex
    (:func:`flowrunner.session.resolve_session_id`) and gives it as ``context.session_id``.
    """

    #: ``data.type`` of the vertex in a flow file.
    type_name: ClassVar[str]
    #: Older or other names of the same type.
    aliases: ClassVar[tuple[str, ...]] = ()
    display_name: ClassVar[str] = ""
    inputs: ClassVar[tuple[Input, ...]] = ()
    outputs: ClassVar[tuple[Output, ...]] = ()
    #: It waits (network, model): runs on a pool, beside others that are ready.
    blocking: ClassVar[bool] = False
    #: Name, without its prefix, of the setting that says what answers in place of the service that the type is named
    #: after: whose server is not asked, as ``flowrunner check`` notes.
    answered_by: ClassVar[str] = ""
    #: ``chat``, ``text`` or ``webhook``: the request's input goes to vertices of this kind.
    input_kind: ClassVar[str | None] = None
    #: ``chat``, ``text`` or ``data``: vertices of this kind are reported in the answer.
    output_kind: ClassVar[str | None] = None
    #: Its outputs read a conversation and are no turn in it: they carry no session downstream.
    reads_history: ClassVar[bool] = False
    #: It reads what the run itself has stored, so it begins after the chat inputs of its flow.
    reads_present_turn: ClassVar[bool] = False
    #: It stores messages; ``explain`` and the plan's warnings say so.
    stores_messages: ClassVar[bool] = False
    #: The input that takes names of uploads, for ``flowrunner ingest``.
    files_input: ClassVar[str | None] = None
    #: The output that holds a list, which is handed out item by item: what follows it runs anew for each.
    loop_output: ClassVar[str | None] = None
    #: The text that comes in on these inputs goes out unchanged in part or whole: tokens pass through.
    streams_through: ClassVar[tuple[str, ...]] = ()

    #: Its outputs are made of its inputs and its session alone, of nothing that it reads elsewhere.
    pure: ClassVar[bool] = False
    #: A vertex has the outputs that its flow file lists besides those declared here, with the types there.
    lists_outputs: ClassVar[bool] = False
    #: It asks :func:`flowrunner.destination` before it sends anything. Of other components the engine
    #: leaves secrets blank that the addresses among their inputs may not have.
    asks_destination: ClassVar[bool] = False

    @abstractmethod
    def run(self, context: RunContext, /, *args: Any, **values: Any) -> RunResultValue:
        """Do the work; see the class. An input may be called ``context`` if the first parameter is positional only."""

    def inputs_for(self, settings: Mapping[str, Any]) -> Sequence[Input]:
        """Return the inputs of a vertex with these settings: the declared ones, and dynamic ones.

        Only a component whose inputs depend on a setting (the variables of a prompt) overrides it.
        """
        return self.inputs

    def outputs_for(self, settings: Mapping[str, Any]) -> Sequence[Output]:
        """Return the outputs of a vertex with these settings; see :meth:`inputs_for`."""
        return self.outputs

    def packages_for(self, settings: Mapping[str, Any]) -> Mapping[str, str]:
        """Return what a vertex with these settings imports when it runs: packages, each with what installs it.

        ``{"lxml": "pip install lxml"}``; ``flowrunner doctor`` says which of them are missing.
        """
        return {}

    def reads_history_with(self, settings: Mapping[str, Any]) -> bool:
        """Say whether a vertex with these settings reads a conversation; see :attr:`reads_history`."""
        return self.reads_history

    def stores_messages_with(self, settings: Mapping[str, Any]) -> bool:
        """Say whether a vertex with these settings stores messages; see :attr:`stores_messages`."""
        return self.stores_messages

    def streams_through_with(self, settings: Mapping[str, Any]) -> Sequence[str]:
        """Return the inputs of a vertex with these settings that :attr:`streams_through` means."""
        return self.streams_through

    def rounds_with(self, settings: Mapping[str, Any]) -> int | None:
        """Return how often a vertex with these settings may run if its outputs lead back to it.

        None is for all that is no router: components may lead back to each other only through one
        that gives a number, and in the last round returns an output that leads out
        (``context.iteration``, ``context.leads_back``).
        """
        return None

    def own_tools(self, context: RunContext, /, **values: Any) -> Sequence[Tool] | None:
        """Return the tools that a vertex hands to an agent, for a component that brings some of its own.

        Called in place of :meth:`run`, on the same values; what it raises ends the run likewise.

        :returns: None where the component itself is the tool, as it is unless this is overridden.
        """
        return None

    def finish_loop(self, returned: Sequence[Any]) -> Outputs:
        """Return the outputs of a loop, once all its items were handed out; see :attr:`loop_output`.

        :param returned: what edges brought back into it, in the order of the items.
        """
        return {}

    def fills_with(self, settings: Mapping[str, Any], connected: Collection[str]) -> str | None:
        """Return the name of the collection that a vertex fills, so that those of its run that search it wait for it.

        A name that begins with :data:`SHARED` is of no collection, but of a value that the run's vertices share.

        :param connected: names of the inputs that edges feed.
        """
        return None

    def reads_with(self, settings: Mapping[str, Any], connected: Collection[str]) -> str | None:
        """Return the name of the collection that a vertex searches; see :meth:`fills_with`."""
        return None


def describe(component: Component) -> dict[str, Any]:
    """Return what a component offers, as JSON: type, names, inputs and outputs."""
    return {
        "type": component.type_name,
        "aliases": list(component.aliases),
        "display_name": component.display_name or component.type_name,
        "description": (component.__doc__ or "").strip().split("\n")[0],
        "inputs": [{"name": i.name, "type": i.type, "required": i.required} for i in component.inputs],
        "outputs": [{"name": o.name, "type": o.type} for o in component.outputs],
    }


def text_of(value: Any) -> str:
    """Return the text of a value on an edge: of a message its text, of a list its lines, else JSON or ``str``."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, Message):
        return value.text
    if isinstance(value, Mapping):
        inner = value.get("text")
        return inner if isinstance(inner, str) else _json(value)
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray)):
        return "\n".join(text_of(item) for item in value)
    return str(value)


def _json(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, default=str)
