"""Components: their contract, their declarations, and the context of their runs."""

from flowrunner.components.cancelling import CancelToken
from flowrunner.components.context import ConversationMemory, RunContext, Source
from flowrunner.components.contract import SHARED, Component, describe
from flowrunner.components.ports import INPUT_TYPES, OBJECT_TYPES, TYPE_ALIASES, Input, Output, canonical_type
from flowrunner.components.values import Tool, text_of

__all__ = [
    "INPUT_TYPES",
    "OBJECT_TYPES",
    "SHARED",
    "TYPE_ALIASES",
    "CancelToken",
    "Component",
    "ConversationMemory",
    "Input",
    "Output",
    "RunContext",
    "Source",
    "Tool",
    "canonical_type",
    "describe",
    "text_of",
]
