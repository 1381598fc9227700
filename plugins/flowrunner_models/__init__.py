"""Components for language models, and the tools that agents use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from flowrunner import Component, Setting, hookimpl

from .agent import Agent, ToolCallingAgent
from .api_request import ApiRequest
from .batch_run import BatchRun
from .language_model import MODEL_TYPES
from .llm_selector import LlmSelector
from .mcp_servers.component import McpTools
from .mcp_servers.configured import read_commands, read_servers
from .searching.components import SEARCHES
from .smart_router import SmartRouter
from .structured_output import StructuredOutput
from .url import Url
from .usage import read_prices

#: Components that ask somebody else than a model.
TOOLS: Final[tuple[type[Component], ...]] = (McpTools, *SEARCHES)

COMPONENTS: Final[tuple[type[Component], ...]] = (
    *MODEL_TYPES,
    Agent,
    ToolCallingAgent,
    StructuredOutput,
    BatchRun,
    SmartRouter,
    LlmSelector,
    Url,
    ApiRequest,
    *TOOLS,
)


def _truth(value: Any) -> bool:
    word = str(value).strip().lower()
    if word not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise ValueError("must be true or false")
    return word in ("1", "true", "yes", "on")


def _words(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else list(value)
    found = tuple(str(part).strip() for part in parts if str(part).strip())
    if any("=" not in part for part in found):
        raise ValueError("must be provider=address, separated by commas")
    return found


SETTINGS: Final = (
    Setting("MODEL", "", "default provider:model, such as openai:gpt-4o-mini or local, for components that name none"),
    Setting("MODEL_FORCE", False, "use FLOWRUNNER_MODEL for every component, overriding what the flow names", _truth),
    Setting(
        "MODEL_BASE_URLS",
        (),
        "addresses of model servers by provider, such as openai=http://127.0.0.1:1234/v1,...; all= sets every provider",
        _words,
    ),
    Setting(
        "MODEL_PRICES",
        (),
        "prices to compute the cost of answers: model=input/output or"
        " model=input/output/cached, in dollars per million tokens, separated by commas",
        read_prices,
    ),
    Setting(
        "LOCAL_MODEL",
        None,
        "GGUF file for the provider local; default: the weights of an installed package",
        lambda value: Path(value).expanduser().absolute(),
    ),
    Setting(
        "MCP_SERVERS",
        (),
        "MCP servers available to flows: name=address or name=command, separated by commas,"
        " or a JSON file of mcpServers with headers and env",
        read_servers,
    ),
    Setting(
        "MCP_COMMANDS",
        (),
        "command lines of MCP servers that flows may start themselves, separated by commas",
        read_commands,
    ),
)


@hookimpl
def register_settings(register: Callable[[Setting], None]) -> None:
    """Declare what an operator may say about models."""
    for setting in SETTINGS:
        register(setting)


@hookimpl
def register_components(register: Callable[[type[Component]], None]) -> None:
    """Offer all components."""
    for component in COMPONENTS:
        register(component)
