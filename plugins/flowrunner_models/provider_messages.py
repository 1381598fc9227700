"""Extract the error message from a provider's answer, wherever it is."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any, Final

_LONGEST: Final = 1000
#: Of a page no more is looked at; what it says stands near its beginning.
_LONGEST_PAGE: Final = 10_000
#: Where the sentence stands, the surest place first.
_PLACES: Final = (
    "error",
    "message",
    "detail",
    "error_msg",
    "error_message",
    "errorMessage",
    "Message",
    "msg",
    "errors",
    "reason",
    "error_description",
    "description",
    "title",
)
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_HIDDEN: Final = re.compile(r"<(script|style|head)\b.*?</\1>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_MARKUP: Final = re.compile(r"<[^>]+>")
_SPACE: Final = re.compile(r"\s+")


def sentence_of(text: str) -> str:
    """Return what the body of an error says: JSON of any shape, a page, or plain text; empty if it says nothing."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return _plain(_of_page(text[:_LONGEST_PAGE]) if text.lstrip()[:1] == "<" else text)
    return sentence_in(found)


def sentence_in(value: Any) -> str:
    """Return what the JSON of an error says; empty if it says nothing."""
    return _plain(_words(value, depth=0))


def error_in(answer: Any) -> Any:
    """Return the error in an answer that came as a success; None if there is none."""
    if isinstance(answer, list):
        return next((found for item in answer if (found := error_in(item)) is not None), None)
    if not isinstance(answer, Mapping):
        return None
    if answer.get("error"):
        return answer["error"]
    choices = answer.get("choices")
    if isinstance(choices, list) and choices:
        return next((c["error"] for c in choices if isinstance(c, Mapping) and c.get("error")), None)
    if "choices" in answer or "usage" in answer:
        return None
    told = (answer.get(name) for name in ("message", "detail", "error_msg", "error_message", "errors", "msg"))
    return answer if any(said and isinstance(said, (str, list)) for said in told) else None


def status_in(error: Any) -> int | None:
    """Return the HTTP status that an error within an answer names, if it does."""
    if not isinstance(error, Mapping):
        return None
    for name in ("status", "code", "status_code", "http_code"):
        value = error.get(name)
        if isinstance(value, str) and value.isdecimal():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600:
            return value
    return None


def without_key(text: str, key: str) -> str:
    """Return a text with the API key taken out of it: some providers quote it."""
    return text.replace(key, "***") if len(key) >= 6 else text


def _words(value: Any, *, depth: int) -> str:
    if isinstance(value, str):
        return _nested(value, depth)
    if depth > 6:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (_words(item, depth=depth + 1) for item in value[:5])))
    if not isinstance(value, Mapping):
        return ""
    inner = value.get("metadata")
    raw = inner.get("raw") if isinstance(inner, Mapping) else None
    for name in _PLACES:
        said = _words(value.get(name), depth=depth + 1)
        if said:
            place = _place(value.get("loc"))
            more = _words(raw, depth=depth + 1) if name == "message" else ""
            return f"{place}{said}" + (f" ({more})" if more and more not in said else "")
    return next(
        (
            said
            for item in value.values()
            if isinstance(item, (list, Mapping)) and (said := _words(item, depth=depth + 1))
        ),
        "",
    )


def _nested(text: str, depth: int) -> str:
    """Return the sentence in a text that is JSON itself, as gateways pass on what they got."""
    if depth <= 6 and text.lstrip()[:1] in ("{", "["):
        try:
            return _words(json.loads(text), depth=depth + 1) or text
        except (ValueError, RecursionError):
            return text
    return text


def _place(loc: Any) -> str:
    parts = [str(part) for part in loc if part != "body"] if isinstance(loc, list) else []
    return f"{'.'.join(parts)}: " if parts else ""


def _of_page(text: str) -> str:
    title = _TITLE.search(text)
    shown = html.unescape(_MARKUP.sub(" ", _HIDDEN.sub(" ", text)))
    heading = html.unescape(title.group(1)) if title else ""
    return heading if heading.strip() else shown


def _plain(text: str) -> str:
    found = _SPACE.sub(" ", text).strip()
    return found if len(found) <= _LONGEST else found[:_LONGEST] + "…"
