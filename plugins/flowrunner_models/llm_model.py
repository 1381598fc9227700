"""Models of the ``llm`` library and its plugins, without an OpenAI-compatible server."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import json
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from flowrunner import CancelToken, Tool

from .failures import ModelFailed, ModelNotInstalled, ModelRefused
from .llm_reading import reads_turns
from .pictures import only_pictures
from .protocol import ChatModel, Options, Part, Picture, Reply, ToolCall, Turn
from .reasoning import Splitter
from .tool_calls import new_call_id, read_arguments
from .usage import read_usage

logger = logging.getLogger("flowrunner")

#: Plugins load their models at import; one at a time, and some are no good with several threads.
_loading: Final = threading.Lock()

#: Under which name a turn keeps the messages that a plugin made of its reply.
_OWN: Final = "llm"
_OPTIONS: Final = ("temperature", "max_tokens", "top_p", "seed")


class LlmModel(ChatModel):
    """A model of an ``llm`` plugin, by the id or alias that the plugin gives it."""

    provider = "llm"

    def __init__(self, name: str, options: Options, *, key: str = "") -> None:
        self.name, self.options, self._key = name, options, key

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
        """Ask the model; see :class:`ChatModel`."""
        cancelled = CancelToken() if cancelled is None else cancelled
        cancelled.raise_if_set()
        llm = _library()
        model = _find(llm, self.name)
        prompt = _prompt(llm, model, turns, tools, schema, options or self.options)
        key = self._key if self._key and getattr(model, "needs_key", None) else None
        try:
            response = llm.Response(prompt, model, live and bool(getattr(model, "can_stream", False)), key=key)
            split = Splitter()
            for part in response:
                cancelled.raise_if_set()
                if part:
                    yield from split.feed(str(part))
            usage = response.usage()
            calls = response.tool_calls() if tools else ()
        except llm.ModelError as error:
            raise ModelFailed(str(error)) from error
        yield from split.close()
        found = tuple(ToolCall(str(c.tool_call_id or new_call_id()), c.name, json.dumps(c.arguments)) for c in calls)
        counted = read_usage({**(usage.details or {}), "input_tokens": usage.input, "output_tokens": usage.output})
        # Signatures of thoughts and the like: the plugin's own messages have them.
        own = {_OWN: response.messages()} if calls and all(c.tool_call_id for c in calls) else {}
        yield Reply(split.text, found, counted if usage.input is not None else None, thoughts=split.thoughts, extra=own)


def _prompt(
    llm: Any,
    model: Any,
    turns: Sequence[Turn],
    tools: Sequence[Tool],
    schema: Mapping[str, Any] | None,
    options: Options,
) -> Any:
    """Return the prompt: as turns for models that read those, and as text and system text for all others.

    A plugin sees the whole conversation whichever of them it reads, so that no question is lost.

    :raises ModelRefused: for tools with a model that takes none or cannot read their answers.
    """
    known = getattr(getattr(model, "Options", None), "model_fields", {})
    given = {name: getattr(options, name) for name in _OPTIONS if name in known and getattr(options, name) is not None}
    if tools and not getattr(model, "supports_tools", False):
        raise ModelRefused(f"the model {model.model_id} does not support tools")
    turns = only_pictures(turns, getattr(model, "attachment_types", ()), model.model_id)
    said = [turn for turn in turns if turn.role != "system"]
    if not reads_turns(model):
        if any(turn.calls or turn.role == "tool" for turn in turns):
            raise ModelRefused(f"the plugin of {model.model_id} cannot read the answers of tools")
    else:
        said = [turn for turn in said if turn.role == "user"][-1:]
    return llm.Prompt(
        _transcript(said),
        model=model,
        system="\n\n".join(turn.text for turn in turns if turn.role == "system") or None,
        attachments=[_attachment(llm, picture) for turn in turns for picture in turn.pictures],
        messages=[message for turn in turns for message in turn.extra.get(_OWN) or [_message(llm, turn)]],
        options=model.Options(**given),
        tools=[_tool(llm, tool) for tool in tools],
        schema=dict(schema) if schema is not None and getattr(model, "supports_schema", False) else None,
    )


def _attachment(llm: Any, picture: Picture) -> Any:
    return llm.Attachment(type=picture.media_type, content=picture.content)


def _transcript(turns: Sequence[Turn]) -> str:
    """Return a conversation as text, for a plugin that reads no turns."""
    if len(turns) == 1:
        return turns[0].text
    words = {"user": "User", "assistant": "Assistant"}
    return "\n\n".join(f"{words.get(turn.role, turn.role)}: {turn.text}" for turn in turns)


def _message(llm: Any, turn: Turn) -> Any:
    parts = importlib.import_module("llm.parts")
    if turn.role == "system":
        return llm.system(turn.text)
    if turn.role == "tool":
        return llm.tool_message(parts.ToolResultPart(output=turn.text, tool_call_id=turn.call_id))
    if turn.role == "assistant":
        said = [turn.text] if turn.text else []
        return llm.assistant(*said, *(_call_part(parts, call) for call in turn.calls))
    return llm.user(*([turn.text] if turn.text else []), *(_attachment(llm, picture) for picture in turn.pictures))


def _call_part(parts: Any, call: ToolCall) -> Any:
    return parts.ToolCallPart(name=call.name, arguments=read_arguments(call.arguments) or {}, tool_call_id=call.id)


def _tool(llm: Any, tool: Tool) -> Any:
    return llm.Tool(name=tool.name, description=tool.description, input_schema=dict(tool.parameters))


def _library() -> Any:
    try:
        return importlib.import_module("llm")
    except ImportError:
        raise ModelNotInstalled(
            "the llm library is not installed: pip install 'flask-flowrunner[llm]' and the plugin of the provider"
        ) from None


def _find(llm: Any, name: str) -> Any:
    try:
        with _loading:
            try:
                return llm.get_model(name)
            except ImportError:
                plugins = importlib.import_module("llm.plugins")
                _load_sound(plugins.pm, plugins.DEFAULT_PLUGINS)
                _set_aside_broken(plugins.pm)
                return llm.get_model(name)
    except llm.UnknownModelError:
        raise ModelNotInstalled(f"no installed llm plugin offers the model {name[:100]}{_near(llm, name)}") from None
    except ImportError as error:
        raise ModelNotInstalled(f"an llm plugin cannot be loaded: {error.name} is missing") from None


def _near(llm: Any, name: str) -> str:
    try:
        near = difflib.get_close_matches(name[:100], llm.get_model_aliases(), n=1)
    except Exception:
        # A plugin of others that cannot say what it has, since something is missing that it needs.
        return ""
    return f"; did you mean {near[0]}?" if near else ""


def _load_sound(manager: Any, usual: Sequence[str]) -> None:
    """Load the plugins that can be loaded: ``llm`` itself gives up at the first that cannot."""
    for entry in importlib.metadata.entry_points(group="llm"):
        if manager.get_plugin(entry.name) is None and not manager.is_blocked(entry.name):
            try:
                manager.register(entry.load(), name=entry.name)
            except ImportError as error:
                logger.warning("the llm plugin %s is left out: %s is missing", entry.name, error.name)
    for name in usual:
        if manager.get_plugin(name) is None:
            manager.register(importlib.import_module(name), name)


def _set_aside_broken(manager: Any) -> None:
    """Take out plugins whose own dependencies are missing: one of them hides the models of all others."""
    for implementation in manager.hook.register_models.get_hookimpls():
        try:
            implementation.function(lambda *models, **more: None)
        except ImportError as error:
            logger.warning("the llm plugin %s is left out: %s is missing", implementation.plugin_name, error.name)
            manager.unregister(implementation.plugin)
