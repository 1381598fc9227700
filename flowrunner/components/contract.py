"""The contract of a component: what a vertex of a flow does when it runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from flowrunner.components.ports import Input, Output

if TYPE_CHECKING:
    from flowrunner.components.context import RunContext
    from flowrunner.components.values import Tool

#: How names begin of values that the vertices of one run share; see :meth:`Component.fills_with`.
SHARED: Final = "\0"

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
    #: The output that holds a list, which is handed out item by item: what follows it runs again for each.
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
        """Return whether a vertex with these settings reads a conversation; see :attr:`reads_history`."""
        return self.reads_history

    def stores_messages_with(self, settings: Mapping[str, Any]) -> bool:
        """Return whether a vertex with these settings stores messages; see :attr:`stores_messages`."""
        return self.stores_messages

    def streams_through_with(self, settings: Mapping[str, Any]) -> Sequence[str]:
        """Return the inputs of a vertex with these settings that :attr:`streams_through` means."""
        return self.streams_through

    def rounds_with(self, settings: Mapping[str, Any]) -> int | None:
        """Return how often a vertex with these settings may run if its outputs lead back to it.

        None is for all that is not a router: components may lead back to each other only through one
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
