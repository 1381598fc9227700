"""Check a query before it is executed: a single statement that only reads."""

from __future__ import annotations

import re
from typing import Final

#: With what a statement begins that reads. The database itself makes sure that it does no more.
_READING: Final = frozenset(
    {"select", "with", "values", "table", "show", "explain", "describe", "desc", "pragma", "from"}
)
_BLANK: Final = re.compile(r"(?:\s+|--[^\n]*(?:\n|\Z)|\(|;)")
_FENCE: Final = re.compile(r"```[a-zA-Z]*\s*\n?(.*?)```", re.DOTALL)
#: Alone, for what parts it from INTO may be a comment.
_TO_FILE: Final = re.compile(r"\b(?:outfile|dumpfile)\b", re.IGNORECASE)


class QueryRefused(ValueError):
    """A query that is not sent; the text says why."""


def clean_query(text: str) -> str:
    """Return the statement in a text: models put it between fences.

    :raises QueryRefused: if there is none.
    """
    found = _FENCE.search(text) if "```" in text else None
    query = (found.group(1) if found else text).strip().rstrip(";").strip()
    if not query:
        raise QueryRefused("no query is set")
    return query


def check_reading(query: str, kind: str) -> None:
    """Refuse a statement that does not read.

    :param kind: of the database.
    :raises QueryRefused: naming its first word.
    """
    word = first_word(query)
    if word not in _READING or (kind in ("mysql", "mariadb") and _TO_FILE.search(query)):
        raise QueryRefused(
            f"{word.upper()[:40] or 'this'} may change the database, which is read-only: the flow's author can allow"
            " writing with read_only false, unless it is in FLOWRUNNER_DOCUMENT_FOLDERS or set by the request"
            if word not in _READING
            else "a query that writes a file is not allowed"
        )


def reads(query: str) -> bool:
    """Return whether a statement reads and surely gives rows."""
    return first_word(query) in _READING - {"with", "from"}


def first_word(query: str) -> str:
    """Return the word with which a statement begins, in lower case, without comments before it."""
    at = 0
    while True:
        found = _BLANK.match(query, at)
        if found is not None:
            at = found.end()
        elif query.startswith("/*", at):
            at = _after_comment(query, at)
        else:
            break
    word = re.compile(r"[A-Za-z_]+").match(query, at)
    return word.group().lower() if word else ""


def _after_comment(query: str, at: int) -> int:
    """Return where a comment ends, which may hold others; MySQL runs what stands in ``/*! */``."""
    if query.startswith(("/*!", "/*M!"), at):
        raise QueryRefused("an executable comment is not allowed")
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(query, at):
        depth += 1 if mark.group() == "/*" else -1
        if not depth:
            return mark.end()
    return len(query)
