"""Splitters that count chunks before they create them, and that can be stopped."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from flowrunner import TextBudget

#: Characters for which a chunk counts besides its own: an object for each character is more than a text.
A_CHUNK: Final = 20
_LOOK_EVERY: Final = 1024


def watch(splitter: Any, budget: TextBudget) -> Any:
    """Have a splitter of the library count its chunks, and look meanwhile whether the run should stop.

    Chunks may share all but one of their characters, so a small text can become a thousand times as much;
    and the library itself copies what it has of a chunk for each piece that it drops. The chunks are the same.

    :param budget: what a chunk will have comes out of it, before it is made.
    """
    made = _Merging(splitter, budget)
    splitter._merge_splits = made.merge
    return splitter


class _Merging:
    """Makes chunks of at most a size out of pieces, each beginning with the end of the one before."""

    def __init__(self, splitter: Any, budget: TextBudget) -> None:
        self._splitter = splitter
        self._budget = budget
        self._size: int = splitter._chunk_size
        self._overlap: int = splitter._chunk_overlap

    def merge(self, splits: Iterable[str], separator: str) -> list[str]:
        """Return the chunks, as the library's ``_merge_splits`` does."""
        chunks: list[str] = []
        pieces: deque[str] = deque()
        total, gap = 0, len(separator)
        for number, piece in enumerate(splits):
            if not number % _LOOK_EVERY:
                self._budget.take(0)
            more = len(piece)
            if pieces and total + more + gap > self._size:
                self._add(chunks, pieces, separator, total)
                while total > self._overlap or (total > 0 and total + more + (gap if pieces else 0) > self._size):
                    total -= len(pieces.popleft()) + (gap if pieces else 0)
            pieces.append(piece)
            total += more + (gap if len(pieces) > 1 else 0)
        self._add(chunks, pieces, separator, total)
        return chunks

    def _add(self, chunks: list[str], pieces: Iterable[str], separator: str, length: int) -> None:
        self._budget.take(length + A_CHUNK)
        chunk: str | None = self._splitter._join_docs(list(pieces), separator)
        if chunk is not None:
            chunks.append(chunk)
