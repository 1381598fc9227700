"""The components that come with flowrunner, offered like those of any other plugin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flowrunner import Component, hookimpl

from .calculator import Calculator, CalculatorTool
from .chat_input import ChatInput
from .chat_memory import CHAT_MEMORIES
from .chat_output import ChatOutput
from .combine_text import CombineText
from .conditional_router import ConditionalRouter
from .create_data import CreateData, CreateList, MockData, Pass
from .current_date import CurrentDate
from .data_operations import DataOperations, ExtractKey, FilterData, FilterValues, MergeData, ParseJsonData
from .dataframe_operations import DataFrameOperations
from .json_cleaner import JsonCleaner
from .loop import Loop
from .message_history import MessageHistory
from .parser import ParseData, ParseDataFrame, Parser
from .prompt import Prompt
from .save_to_file import SaveToFile
from .shared_values import Listen, Notify
from .store_message import StoreMessage
from .sub_flows import FlowTool, RunFlow, SubFlow
from .text_input import TextInput
from .text_output import TextOutput
from .type_converter import MessageToData, TypeConverter
from .webhook import Webhook

COMPONENTS: Final[tuple[type[Component], ...]] = (
    Calculator,
    CalculatorTool,
    ChatInput,
    ChatOutput,
    *CHAT_MEMORIES,
    CombineText,
    ConditionalRouter,
    CreateData,
    CreateList,
    CurrentDate,
    DataFrameOperations,
    DataOperations,
    ExtractKey,
    FlowTool,
    FilterData,
    FilterValues,
    JsonCleaner,
    Listen,
    Loop,
    MergeData,
    MessageHistory,
    MessageToData,
    MockData,
    Notify,
    ParseData,
    ParseDataFrame,
    ParseJsonData,
    Parser,
    Pass,
    Prompt,
    RunFlow,
    SaveToFile,
    StoreMessage,
    SubFlow,
    TextInput,
    TextOutput,
    TypeConverter,
    Webhook,
)


@hookimpl
def register_components(register: Callable[[type[Component]], None]) -> None:
    """Offer all of them."""
    for component in COMPONENTS:
        register(component)
