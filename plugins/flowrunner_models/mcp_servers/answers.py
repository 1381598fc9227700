"""Results of MCP tools, as text for a model and as rows of a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flowrunner import TextBudget

from .connection import ServerFailed


def text_of_answer(answer: Any, budget: TextBudget) -> str:
    """Return an answer as text.

    :raises ServerFailed: if the tool reported a failure.
    """
    parts = [_text(block) for block in getattr(answer, "content", None) or ()]
    structured = getattr(answer, "structured_content", None)
    text = "\n".join(part for part in parts if part)
    if not text and structured is not None:
        text = json.dumps(structured, ensure_ascii=False, default=str)
    budget.take(len(text))
    if getattr(answer, "is_error", False):
        raise ServerFailed(text[:1000] or "the tool reported a failure")
    return text


def rows_of_answer(answer: Any, budget: TextBudget) -> list[dict[str, Any]]:
    """Return an answer as rows: objects as they are, other text under ``text``.

    :raises ServerFailed: if the tool reported a failure.
    """
    text_of_answer(answer, budget)
    rows: list[dict[str, Any]] = []
    for block in getattr(answer, "content", None) or ():
        rows += _rows(_text(block), getattr(block, "type", "text"))
    structured = getattr(answer, "structured_content", None)
    if not rows and structured is not None:
        rows += _rows(json.dumps(structured, ensure_ascii=False, default=str), "text")
    return rows


def _rows(text: str, kind: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, Mapping):
        return [dict(found)]
    if isinstance(found, list) and found and all(isinstance(one, Mapping) for one in found):
        return [dict(one) for one in found]
    return [{"type": kind, "text": text}]


def _text(block: Any) -> str:
    """Return a block of content as text; of what is none its kind and size."""
    text = getattr(block, "text", None)
    if isinstance(text, str):
        return text
    resource = getattr(block, "resource", None)
    inner = getattr(resource, "text", None)
    if isinstance(inner, str):
        return inner
    data = getattr(block, "data", None) or getattr(resource, "blob", None)
    kind = getattr(block, "mime_type", None) or getattr(resource, "mime_type", None) or getattr(block, "type", "")
    if isinstance(data, str):
        return f"[{kind}, {len(data) * 3 // 4} bytes]"
    link = getattr(block, "uri", None)
    return f"[{kind or 'link'}: {link}]" if link is not None else f"[{kind}]"
