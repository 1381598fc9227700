"""JSON Cleaner: repair the JSON that models write."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from flowrunner import Component, Input, Message, Output, RunContext

from .structured_text import read_json

#: Characters of a text that is mended; what mends takes long on long ones.
_LONGEST: Final = 1_000_000
_FENCE: Final = re.compile(r"^\s*```[A-Za-z0-9_-]*[ \t]*\n(.*?)\n?```\s*$", re.DOTALL)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class JsonCleaner(Component):
    """Extract JSON from the answer of a model: remove surrounding text and fences, repair commas and quotes."""

    type_name = "JSONCleaner"
    display_name = "JSON Cleaner"
    inputs = (
        Input("json_str", "str", required=True, tool=True, aliases=("input_value",)),
        Input("remove_control_chars", "bool", default=False),
        Input(
            "normalize_unicode", "bool", default=False, info="normalize Unicode: letters with accents as one character"
        ),
        Input("validate_json", "bool", default=False, info="refuse invalid JSON instead of repairing it"),
    )
    outputs = (Output("output"),)

    def run(
        self,
        context: RunContext,
        /,
        *,
        json_str: str,
        remove_control_chars: bool,
        normalize_unicode: bool,
        validate_json: bool,
    ) -> Mapping[str, Any]:
        """Return the JSON.

        :raises ValueError: if the text holds none, or the library that mends it is not installed.
        """
        text = json_str
        if normalize_unicode:
            text = unicodedata.normalize("NFC", text)
        if remove_control_chars:
            text = _CONTROL.sub("", text)
        inner = _inner(text)
        if validate_json:
            _refuse_other(inner)
        return {"output": Message(text=clean(inner), flow_id=context.flow_id)}


def clean(text: str) -> str:
    """Return a JSON text as it is where it is one, else mended.

    :raises ValueError: if there is nothing to mend.
    """
    try:
        read_json(text)
    except (ValueError, RecursionError):
        return _mended(text)
    return text


def _mended(text: str) -> str:
    if len(text) > _LONGEST:
        raise ValueError(f"a text of more than {_LONGEST} characters is not repaired")
    try:
        from json_repair import repair_json
    except ImportError:
        raise ValueError("repairing JSON needs pip install 'flask-flowrunner[data]'") from None
    try:
        found = json.loads(repair_json(text))
        return json.dumps(found, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise ValueError("the text contains no JSON") from error


def _inner(text: str) -> str:
    """Return what stands between the first brace and the last, without the fence around it.

    :raises ValueError: if there is none.
    """
    fenced = _FENCE.match(text)
    text = fenced[1] if fenced else text
    starts = [place for place in (text.find("{"), text.find("[")) if place >= 0]
    end = max(text.rfind("}"), text.rfind("]"))
    if not starts:
        raise ValueError("the text contains no JSON object or list")
    start = min(starts)
    return text[start : end + 1] if end > start else text[start:]


def _refuse_other(text: str) -> None:
    try:
        read_json(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the text is not valid JSON: {error}") from error
