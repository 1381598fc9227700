"""Mask secrets in the run log, and limit the size of its entries."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from flowrunner.memory.message import Message
from flowrunner.store.credentials import (
    MASK,
    MASK_LONG,
    is_secret_name,
    is_secret_pair,
    is_suspect,
    looks_random,
    mask_text,
    secret_member,
)
from flowrunner.store.known_secrets import KnownSecrets
from flowrunner.text.json_text import json_text

TEXT_LIMIT: Final = 6000
LIST_LIMIT: Final = 1000

_SHORT: Final = 12
_WORD: Final = 64
_LEAST_KNOWN: Final = 8
_DEPTH_LIMIT: Final = 40
_NODE_LIMIT: Final = 50_000
#: Extra characters examined beyond the cut, so that no part of a secret at the cut is stored.
_OVERLAP: Final = 4096


def mask(value: Any, secrets: set[str] | None = None, *, cut: bool = True) -> Any:
    """Return a copy of a value as JSON, with secrets masked and bounded in size.

    The value of a field with a secret name is masked, also where it occurs elsewhere; so is everything that looks
    like a credential. Fields called ``code`` are left out. Cycles, depth and size are limited. Values that are not
    JSON are replaced by the name of their type.

    :param secrets: texts known to be secret, which are masked; secrets found in the value are added.
    :param cut: truncate long texts and lists.
    """
    known = secrets if isinstance(secrets, KnownSecrets) else KnownSecrets(secrets or ())
    before = len(known)
    masked = _Walk(known, cut).value(value, 0)
    if len(known) > before:
        # A text before the field that revealed a secret may contain it as well.
        masked = _Walk(known, cut).value(value, 0)
        if secrets is not None:
            secrets.update(known)
    return masked


def hide(value: Any) -> str:
    """Return the replacement of a secret value."""
    if value == MASK or not isinstance(value, str) or len(value) <= _SHORT and value != MASK_LONG:
        return MASK
    return MASK_LONG


def masked_json(record: Any, secrets: set[str], texts: Sequence[str] | None = None) -> str:
    """Return a record as JSON text, masked as by :func:`mask`.

    Most records contain nothing to mask or cut, which a check of their texts shows.

    :param texts: all texts of the record that may contain secrets, apart from fields with secret names; None if they
        are not known.
    """
    try:
        text = json_text(record)
    except (TypeError, ValueError, RecursionError):
        return json_text(mask(record, secrets))
    if is_plain(text, texts, secrets):
        return text
    return json_text(mask(record, secrets))


def is_plain(text: str, texts: Sequence[str] | None, secrets: set[str]) -> bool:
    """Return whether the JSON text of a record has nothing to mask or cut; see :func:`masked_json`."""
    if len(text) > TEXT_LIMIT or (texts is None and '"code"' in text):
        return False
    for word in (text,) if texts is None else texts:
        # Names, session ids and values that are passed on unchanged are checked once.
        if _is_suspect_word(word) if len(word) <= _WORD else is_suspect(word):
            return False
    return not secrets or (secrets if isinstance(secrets, KnownSecrets) else KnownSecrets(secrets)).are_absent(text)


_is_suspect_word: Final = lru_cache(maxsize=4096)(is_suspect)


class _Walk:
    """One pass through a value."""

    __slots__ = ("_above", "_cut", "_left", "secrets")

    def __init__(self, secrets: KnownSecrets, cut: bool) -> None:
        self.secrets = secrets
        self._cut = cut
        self._left = _NODE_LIMIT
        self._above: set[int] = set()

    def value(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            return self.text(value)
        if value is None or kind is bool or kind is int:
            return value
        if kind is dict or kind is list:
            return self._container(value, depth)
        if kind is float:
            return value if math.isfinite(value) else None
        if isinstance(value, Message):
            return self.text(value.text)
        if isinstance(value, (Mapping, list, tuple)):
            return self._container(value, depth)
        if isinstance(value, str):
            return self.text(str(value))
        return kind.__name__

    def text(self, text: str) -> str:
        long = self._cut and len(text) > TEXT_LIMIT
        shown = text[: TEXT_LIMIT + _OVERLAP] if long else text
        shown = mask_text(self.secrets.replace_in(shown))
        return shown[:TEXT_LIMIT] + "..." if long else shown

    def _container(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if depth > _DEPTH_LIMIT or self._left < 0 or id(value) in self._above:
            return "..."
        self._above.add(id(value))
        try:
            return self._object(value, depth) if isinstance(value, Mapping) else self._list(value, depth)
        finally:
            self._above.discard(id(value))

    def _object(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        shown = {}
        hidden = secret_member(value)
        for key, item in value.items():
            name = str(key)
            if name == "code":
                continue
            self._left -= 1
            if self._left < 0:
                shown["..."] = "..."
                break
            if name == hidden or is_secret_name(name):
                shown[name] = self._secret(item)
            elif name[-6:].lower() == "tokens":
                shown[name] = self._tokens(item, depth + 1)
            else:
                shown[self.text(name) if len(name) > _SHORT else name] = self.value(item, depth + 1)
        return shown

    def _list(self, value: Any, depth: int) -> list[Any]:
        if is_secret_pair(value):
            return [value[0], self._second(value[1])]
        total = len(value)
        kept = value[:LIST_LIMIT] if self._cut else value
        self._left -= len(kept)
        shown = [self.value(item, depth + 1) for item in kept]
        if self._cut and total > LIST_LIMIT:
            shown.append(f"... [truncated {total - LIST_LIMIT} items]")
        return shown

    def _second(self, value: str) -> str:
        """Mask the second text of a pair; a plain word may also be a name, so it is not masked elsewhere."""
        return hide(value) if value.replace("_", "").isalpha() else self._secret(value)

    def _tokens(self, value: Any, depth: int) -> Any:
        """Mask tokens that are texts, but not token counts."""
        if isinstance(value, str) and looks_random(value):
            return self._secret(value)
        if isinstance(value, (list, tuple)):
            value = [self._secret(v) if isinstance(v, str) and looks_random(v) else v for v in value]
        return self.value(value, depth)

    def _secret(self, value: Any) -> str:
        if isinstance(value, str) and len(value) >= _LEAST_KNOWN and value not in (MASK, MASK_LONG):
            self.secrets.add(value)
        return hide(value)
