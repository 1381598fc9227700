"""Remove any number of known secrets from text in a single pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flowrunner.store.credentials import MASK

#: Up to this number, secrets are searched for one by one, which is faster.
_FEW = 8
#: The length of the prefix by which secrets are indexed.
_HEAD = 8
#: Only this much of a longer secret is compared; the rest up to the next blank is masked with it.
_LONG = 64


class KnownSecrets(set[str]):
    """A set of secrets, indexed by their prefixes.

    A search takes time proportional to the text: one lookup per position, and at a matching prefix at most one
    comparison for each length up to 64.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._lengths: dict[str, list[int]] = {}
        self._heads: set[str] = set()
        self._short: list[str] = []
        self._plain = True
        self.update(secrets)

    def add(self, secret: str) -> None:
        """Add a secret."""
        if secret in self:
            return
        super().add(secret)
        self._plain = (
            self._plain and secret.isascii() and secret.isprintable() and '"' not in secret and "\\" not in secret
        )
        if len(secret) < _HEAD:
            self._short.append(secret)
            return
        lengths = self._lengths.setdefault(secret[:_HEAD], [])
        if len(secret) > _LONG:
            secret = secret[:_LONG]
            self._heads.add(secret)
        if len(secret) not in lengths:
            lengths.append(len(secret))
            lengths.sort(reverse=True)

    def update(self, *others: Iterable[str]) -> None:
        """Add several secrets."""
        for other in others:
            for secret in other:
                self.add(secret)

    def are_absent(self, text: str) -> bool:
        """Return whether a JSON text certainly contains none of the secrets, escaped or not."""
        if not self._plain:
            return False
        if len(self) <= _FEW:
            return not any(secret in text for secret in self)
        return self.replace_in(text) is text

    def replace_in(self, text: str) -> str:
        """Return a text with all secrets masked; the same object if there are none."""
        many = len(self) > _FEW
        for secret in self._short if many else self:
            if secret in text:
                text = text.replace(secret, MASK)
        return self._replace_many(text) if many else text

    def _replace_many(self, text: str) -> str:
        parts: list[str] = []
        done = at = 0
        last, lengths_of = len(text) - _HEAD, self._lengths.get
        while at <= last:
            lengths: Any = lengths_of(text[at : at + _HEAD])
            end = self._end_of(text, at, lengths) if lengths else 0
            if end:
                parts += [text[done:at], MASK]
                at = done = end
            else:
                at += 1
        return "".join([*parts, text[done:]]) if parts else text

    def _end_of(self, text: str, at: int, lengths: list[int]) -> int:
        """Return the end of the longest secret that begins at a position, or 0."""
        for length in lengths:
            found = text[at : at + length]
            if length == _LONG and found in self._heads:
                return self._end_of_long(text, at)
            if found in self:
                return at + length
        return 0

    def _end_of_long(self, text: str, at: int) -> int:
        end = at + _LONG
        while end < len(text) and not text[end].isspace():
            end += 1
        return end
