"""Agent: a model that calls tools until it can answer."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any, Final

from flowrunner import Input, Message, Output, RunContext, text_of

from .agent_tools import gather_tools, own_tools, use_tools
from .factory import ModelUser
from .fields import CHOICE_INPUTS, OPTION_INPUTS
from .language_model import message_of, speak
from .pictures import files_of
from .protocol import ChatModel, Reply, Turn
from .steps import Spent, Steps
from .structure import schema_of, schema_of_many
from .structured_output import ask_for_json
from .turns import begins_with_question, is_history, message_turns, newest, turns_of

_PROMPT: Final = "You are a helpful assistant that can use tools to answer questions and perform tasks."
#: What a model is asked where the input says nothing.
_BLANK: Final = "Continue the conversation."
_FORMAT: Final = "Extract what the schema asks for from the text. Answer with JSON only."


class Agent(ModelUser):
    """Let a model call tools until it can answer, with the messages of the session as context."""

    type_name = "Agent"
    display_name = "Agent"
    reads_present_turn = True
    inputs = (
        Input("input_value", accepts=("Data", "Table"), tool=True, info="the task"),
        Input("system_prompt", default=_PROMPT, aliases=("system_message",), info="instructions for the agent"),
        Input("tools", "Tool", many=True, info="components in tool mode"),
        Input(
            "memory",
            "any",
            accepts=("Memory", "Table", "Data"),
            info="used instead of the session's history",
        ),
        Input("chat_history", "any", accepts=("Table", "Data", "Message"), aliases=("history",)),
        Input("n_messages", "int", default=100, info="maximum number of earlier messages, the newest; 0 for none"),
        Input("history_tokens", "int", default=0, info="approximate maximum tokens of earlier messages; 0: no limit"),
        Input("context_id", "str", info="only messages of this context"),
        Input("max_iterations", "int", default=15, info="maximum number of model calls"),
        Input("handle_parsing_errors", "bool", default=True, info="report tool failures to the model"),
        Input("add_current_date_tool", "bool", default=True, absent=False),
        Input("add_calculator_tool", "bool", default=True, absent=False),
        Input("output_schema", "any", info="fields of structured_response: rows of name, type, description, multiple"),
        Input("format_instructions", default=_FORMAT, info="instructions for structured_response"),
        Input("stream", "bool", default=True, info="ignored: the request decides whether a run streams"),
        *CHOICE_INPUTS,
        *OPTION_INPUTS,
    )
    outputs = (
        Output("response", aliases=("message_response", "text_output")),
        Output("structured_response", "Data", aliases=("json_response",)),
    )

    def run(self, context: RunContext, /, **values: Any) -> Generator[Any, None, Mapping[str, Any]]:
        """Return the answer, and the structured one where an edge leads from it.

        :raises ModelFailed: if the model does not answer, or calls tools without end.
        """
        model = self.model_of(context, values)
        question = "" if is_history(values["input_value"]) else text_of(values["input_value"])
        turns = self._turns(context, values, question)
        steps = Steps(question)
        reply = yield from self._work(context, model, turns, values, steps)
        if reply.thoughts:
            steps.say("Thought", reply.thoughts, icon="Brain")
        steps.say("Output", reply.text)
        outputs: dict[str, Any] = {
            "response": message_of(context, model, reply, content_blocks=steps.blocks()),
        }
        if "structured_response" in context.wanted:
            outputs["structured_response"] = self._structured(context, model, values, reply)
        return outputs

    def _turns(self, context: RunContext, values: Mapping[str, Any], question: str) -> list[Turn]:
        system = text_of(values["system_prompt"])
        turns = [Turn("system", system)] if system.strip() else []
        turns += newest(
            _history(context, values), count=_count(values["n_messages"]), tokens=values["history_tokens"] or 0
        )
        files = files_of(values["input_value"])
        if question.strip() or files:
            turns.append(Turn("user", question, files=files))
        elif turns[-1:] == [] or turns[-1].role != "user" or not is_history(values["input_value"]):
            turns.append(Turn("user", _BLANK))
        return turns

    def _work(
        self, context: RunContext, model: ChatModel, turns: list[Turn], values: Mapping[str, Any], steps: Steps
    ) -> Generator[Any, None, Reply]:
        """Ask and call tools in turn until the model has no more calls to make."""
        own = own_tools(current_date=values["add_current_date_tool"], calculator=values["add_calculator_tool"])
        tools = gather_tools(values["tools"], own)
        spent = Spent()
        for _ in range(max(1, _count(values["max_iterations"], 15))):
            reply = yield from speak(context, model, turns, shown=steps.message, tools=tuple(tools.values()))
            spent.add(reply)
            if not reply.calls:
                return spent.total(reply)
            for thought in filter(None, (reply.thoughts, reply.text)):
                steps.say("Thought", thought, icon="Brain")
            turns.append(Turn("assistant", reply.text, reply.calls, extra=reply.extra))
            for outcome in use_tools(context, tools, reply.calls, forgiving=values["handle_parsing_errors"]):
                steps.use(outcome)
                turns.append(Turn("tool", outcome.text, call_id=outcome.call.id))
            yield steps.message()
        reply = yield from speak(context, model, [*turns, Turn("user", _ENOUGH)], shown=steps.message)
        spent.add(reply)
        return replace(spent.total(reply), calls=(), reason="max_iterations")

    def _structured(
        self, context: RunContext, model: ChatModel, values: Mapping[str, Any], reply: Reply
    ) -> dict[str, Any]:
        """Return the record in the answer, or several under ``results``."""
        item = schema_of(values["output_schema"])
        if item is None:
            return {"text": reply.text}
        found = ask_for_json(
            context,
            model,
            system=text_of(values["format_instructions"]),
            text=reply.text,
            schema=schema_of_many(item),
            item=item,
        )
        return found[0] if len(found) == 1 else {"results": found}


#: Said when the iterations are used up, so that what was found is not lost.
_ENOUGH: Final = "Stop calling tools now, and answer with what you have found out so far."


class ToolCallingAgent(Agent):
    """The older form of Agent, which gets its history over an edge only."""

    type_name = "ToolCallingAgent"
    aliases = ("OpenAIToolsAgent", "OpenAIToolsAgentComponent")
    display_name = "Tool Calling Agent"
    reads_present_turn = False

    def _turns(self, context: RunContext, values: Mapping[str, Any], question: str) -> list[Turn]:
        kept = {**values, "n_messages": 0} if not (values["chat_history"] or values["memory"]) else values
        return super()._turns(context, kept, question)


def _history(context: RunContext, values: Mapping[str, Any]) -> list[Turn]:
    """Return earlier turns: those of an edge, else those of the session; never both."""
    if is_history(values["input_value"]):
        return turns_of(values["input_value"])
    given = values["chat_history"]
    if given:
        return turns_of(given)
    place = values["memory"]
    if isinstance(place, (list, tuple, str, Message, Mapping)) and place:
        return turns_of(place)
    memory = place if callable(getattr(place, "fetch", None)) else context.memory
    count = _count(values["n_messages"])
    if count <= 0:
        return []
    filters: dict[str, Any] = {"context_id": values["context_id"]} if values["context_id"] else {}
    if memory is context.memory:
        # The present turn is part of it, but for what the agent is asked anyway.
        filters["this_run"] = True
    asked = values["input_value"]
    own = asked.id if isinstance(asked, Message) else None
    # One more than wanted tells whether there are more: a whole conversation may begin with a greeting.
    found = memory.fetch(session_id=context.session_id, limit=count + 1 + (own is not None), **filters)
    found = [message for message in found if own is None or message.id != own]
    turns = [turn for message in found[-count:] for turn in message_turns(message) if turn.text.strip() or turn.files]
    return begins_with_question(turns) if len(found) > count else turns


def _count(value: Any, usual: int = 100) -> int:
    return value if isinstance(value, int) else usual
