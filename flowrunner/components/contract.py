"""The contract of components."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from flowrunner.components.ports import Input, Output

if TYPE_CHECKING:
    from flowrunner.components.context import RunContext
    from flowrunner.components.values import Tool

#: The prefix of names of values that vertices of a run share; see :meth:`Component.fills_with`.
SHARED: Final = "\0"

Outputs = Mapping[str, Any]
RunResultValue = Outputs | Generator[Any, None, Outputs]


class Component(ABC):
    """The base class of components. **This docstring is the contract.**

    A component is a stateless class: one instance serves all runs, in all threads. Class attributes describe it, and
    :meth:`run` does the work.

    ``run`` gets the context and its declared inputs as keyword arguments, converted to their types, with defaults
    filled in. It returns a mapping by output name. An output that is left out is a branch not taken: the components
    behind it do not run, except those that also follow an output in the mapping. If ``run`` is a generator, it yields
    text as it is generated, which is sent to readers of a stream, and returns the mapping. It may also yield a
    message without text: its content blocks (the steps of an agent) are shown immediately, and the text yielded
    before becomes a step instead of the answer. An exception ends the run with an error that names the component; so
    do an undeclared output, a yielded value that is neither text nor a message, and a value that does not fit the
    type of its output: ``Message``, ``Data`` and ``Table`` outputs accept text, messages, numbers, dates, mappings
    and lists.

    A ``session_id`` input need not be declared: the engine decides the session of every component
    (:func:`flowrunner.session.resolve_session_id`) and provides it as ``context.session_id``.
    """

    #: ``data.type`` of the vertex in a flow file.
    type_name: ClassVar[str]
    #: Older or other names of the same type.
    aliases: ClassVar[tuple[str, ...]] = ()
    display_name: ClassVar[str] = ""
    inputs: ClassVar[tuple[Input, ...]] = ()
    outputs: ClassVar[tuple[Output, ...]] = ()
    #: It waits (for a network or a model): it runs on a thread pool, in parallel with others.
    blocking: ClassVar[bool] = False
    #: The setting, without prefix, that selects the store used instead of the service after which the type is named;
    #: ``flowrunner check`` reports this.
    answered_by: ClassVar[str] = ""
    #: ``chat``, ``text`` or ``webhook``: components of this kind get the input of the request.
    input_kind: ClassVar[str | None] = None
    #: ``chat``, ``text`` or ``data``: the answer shows components of this kind.
    output_kind: ClassVar[str | None] = None
    #: Its outputs come from a stored conversation and are not a turn in it, so they carry no session downstream.
    reads_history: ClassVar[bool] = False
    #: It reads messages of its own run, so it runs after the chat inputs of the flow.
    reads_present_turn: ClassVar[bool] = False
    #: It stores messages, which ``explain`` and warnings mention.
    stores_messages: ClassVar[bool] = False
    #: The input for names of uploads, used by ``flowrunner ingest``.
    files_input: ClassVar[str | None] = None
    #: The output with the items of a loop: the components behind it run once per item.
    loop_output: ClassVar[str | None] = None
    #: The inputs whose text is passed on unchanged, in part or whole, so that tokens are streamed through.
    streams_through: ClassVar[tuple[str, ...]] = ()

    #: Its outputs depend only on its inputs and its session, not on data read elsewhere.
    pure: ClassVar[bool] = False
    #: A vertex also has the outputs listed in its flow file, with the types given there.
    lists_outputs: ClassVar[bool] = False
    #: It calls :func:`flowrunner.destination` before it sends anything. For other components, the engine removes
    #: secrets that must not be sent to the addresses among their inputs.
    asks_destination: ClassVar[bool] = False

    @abstractmethod
    def run(self, context: RunContext, /, *args: Any, **values: Any) -> RunResultValue:
        """Do the work; see the class. An input may be named ``context`` if the first parameter is positional-only."""

    def inputs_for(self, settings: Mapping[str, Any]) -> Sequence[Input]:
        """Return the declared and dynamic inputs of a vertex with these settings.

        Override it only if inputs depend on a setting, such as the variables of a prompt.
        """
        return self.inputs

    def outputs_for(self, settings: Mapping[str, Any]) -> Sequence[Output]:
        """Return the outputs of a vertex with these settings; see :meth:`inputs_for`."""
        return self.outputs

    def packages_for(self, settings: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the packages that a vertex with these settings imports, each with the command to install it.

        Such as ``{"lxml": "pip install lxml"}``; ``flowrunner doctor`` reports missing ones.
        """
        return {}

    def reads_history_with(self, settings: Mapping[str, Any]) -> bool:
        """Return whether a vertex with these settings reads a conversation; see :attr:`reads_history`."""
        return self.reads_history

    def stores_messages_with(self, settings: Mapping[str, Any]) -> bool:
        """Return whether a vertex with these settings stores messages; see :attr:`stores_messages`."""
        return self.stores_messages

    def streams_through_with(self, settings: Mapping[str, Any]) -> Sequence[str]:
        """Return the inputs of a vertex with these settings whose text is streamed; see :attr:`streams_through`."""
        return self.streams_through

    def rounds_with(self, settings: Mapping[str, Any]) -> int | None:
        """Return the maximum number of rounds of a cycle through a vertex with these settings.

        None means that the component is not a router. Each cycle needs a component that returns a number, and that in
        the last round returns an output leading out of the cycle (``context.iteration``, ``context.leads_back``).
        """
        return None

    def own_tools(self, context: RunContext, /, **values: Any) -> Sequence[Tool] | None:
        """Return the tools that a vertex provides to an agent, for a component with its own tools.

        Called instead of :meth:`run`, with the same values; exceptions end the run as well.

        :returns: a list of tools; None (the default) if the component itself is the tool.
        """
        return None

    def finish_loop(self, returned: Sequence[Any]) -> Outputs:
        """Return the outputs of a loop after all items were processed; see :attr:`loop_output`.

        :param returned: the values that edges brought back into the loop, in the order of the items.
        """
        return {}

    def fills_with(self, settings: Mapping[str, Any], connected: Collection[str]) -> str | None:
        """Return the collection that a vertex fills, so that vertices of the run that search it wait for it.

        A name with the prefix :data:`SHARED` is not a collection, but a value shared by the vertices of the run.

        :param connected: the names of inputs with edges.
        """
        return None

    def reads_with(self, settings: Mapping[str, Any], connected: Collection[str]) -> str | None:
        """Return the name of the collection that a vertex searches; see :meth:`fills_with`."""
        return None


def describe(component: Component) -> dict[str, Any]:
    """Return the description of a component as JSON: type, names, inputs and outputs."""
    return {
        "type": component.type_name,
        "aliases": list(component.aliases),
        "display_name": component.display_name or component.type_name,
        "description": (component.__doc__ or "").strip().split("\n")[0],
        "inputs": [{"name": i.name, "type": i.type, "required": i.required} for i in component.inputs],
        "outputs": [{"name": o.name, "type": o.type} for o in component.outputs],
    }
