"""Models behind the ``llm`` library and its plugins: what has no OpenAI-compatible address."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import json
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from flowrunner import CancelToken, Tool

from .failures import ModelFailed, ModelNotInstalled, ModelRefused
from .pictures import only_pictures
from .protocol import ChatModel, Options, Picture, Reply, ToolCall, Turn, Usage

logger = logging.getLogger("flowrunner")

#: Plugins load their models at import; one at a time, and some are no good with several threads.
_loading: Final = threading.Lock()

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
    ) -> Iterator[str | Reply]:
        """Ask the model; see :class:`ChatModel`."""
        cancelled = cancelled or CancelToken()
        cancelled.raise_if_set()
        llm = _library()
        model = _find(llm, self.name)
        asked = _arguments(llm, model, turns, tools, schema, options or self.options, live)
        if self._key and getattr(model, "needs_key", None):
            asked["key"] = self._key
        try:
            response = model.prompt(**asked)
            said = []
            for part in response:
                cancelled.raise_if_set()
                if part:
                    said.append(str(part))
                    yield str(part)
            usage = response.usage()
            calls = response.tool_calls() if tools else ()
        except llm.ModelError as error:
            raise ModelFailed(str(error)) from error
        found = tuple(
            ToolCall(str(c.tool_call_id or f"call_{n}"), c.name, json.dumps(c.arguments)) for n, c in enumerate(calls)
        )
        counted = Usage(usage.input or 0, usage.output or 0) if usage and usage.input is not None else None
        yield Reply("".join(said), found, counted)


def reads_turns(model: Any) -> bool:
    """Say whether a plugin's model reads the turns that it is handed.

    Older plugins read only the prompt text and the conversation, and drop ``messages=`` without a
    word; so the code of their ``execute`` is asked whether it looks at ``prompt.messages``.
    """
    for kind in type(model).__mro__:
        execute = kind.__dict__.get("execute")
        if execute is None:
            continue
        try:
            module = inspect.getmodule(kind)
            return ".messages" in inspect.getsource(module if module is not None else kind)
        except (OSError, TypeError):
            return False
    return False


def _arguments(
    llm: Any, model: Any, turns: Sequence[Turn], tools: Sequence[Tool], schema: Mapping[str, Any] | None,
    options: Options, live: bool,
) -> dict[str, Any]:  # fmt: skip
    asked: dict[str, Any] = {"stream": live and bool(getattr(model, "can_stream", False))}
    known = getattr(getattr(model, "Options", None), "model_fields", {})
    given = {name: getattr(options, name) for name in _OPTIONS if name in known and getattr(options, name) is not None}
    asked.update(given)
    if tools:
        if not getattr(model, "supports_tools", False):
            raise ModelRefused(f"the model {model.model_id} takes no tools")
        asked["tools"] = [_tool(llm, tool) for tool in tools]
    if schema is not None and getattr(model, "supports_schema", False):
        asked["schema"] = dict(schema)
    turns = only_pictures(turns, getattr(model, "attachment_types", ()), model.model_id)
    if reads_turns(model):
        asked["messages"] = [_message(llm, turn) for turn in turns]
        return asked
    if any(turn.calls or turn.role == "tool" for turn in turns):
        raise ModelRefused(f"the plugin of {model.model_id} cannot read the answers of tools")
    system = "\n\n".join(turn.text for turn in turns if turn.role == "system")
    if system:
        asked["system"] = system
    asked["prompt"] = _transcript([turn for turn in turns if turn.role != "system"])
    asked["attachments"] = [_attachment(llm, picture) for turn in turns for picture in turn.pictures]
    return asked


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
    return parts.ToolCallPart(name=call.name, arguments=json.loads(call.arguments or "{}"), tool_call_id=call.id)


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
        raise ModelNotInstalled(f"no installed llm plugin offers the model {name[:100]}") from None
    except ImportError as error:
        raise ModelNotInstalled(f"an llm plugin cannot be loaded: {error.name} is missing") from None


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
