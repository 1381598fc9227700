"""Limit the size of generated text: counted before it is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

#: Characters of text that a component may make where no setting says otherwise.
MOST_TEXT: Final = 10_000_000


class TextBudget:
    """Counts the characters of a text that is about to be made.

    A component whose text is larger than what came in (a template, a join, a table) takes from its
    budget, :meth:`RunContext.text_budget <flowrunner.RunContext.text_budget>`, before it makes it.

    :param look: called with each take; it raises where the run should stop, so that a loop that takes
        from the budget stops in time.
    """

    __slots__ = ("_left", "_look", "most")

    def __init__(self, most: int = MOST_TEXT, *, look: Callable[[], object] | None = None) -> None:
        self.most = self._left = most
        self._look = look

    def take(self, count: int) -> None:
        """Take as many characters as will be made.

        :raises ValueError: if there is not so much left.
        """
        if self._look is not None:
            self._look()
        self._left -= count
        if self._left < 0:
            raise too_long(self.most)


def too_long(most: int) -> ValueError:
    """Return the error for a component that makes more than it may."""
    return ValueError(f"it would produce more than {most} characters of text (FLOWRUNNER_MAX_TEXT)")
