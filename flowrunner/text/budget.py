"""How much text may be made: counted before it is made, so that memory is not taken first."""

from __future__ import annotations

from typing import Final

#: Characters of text that a component may make where no setting says otherwise.
MOST_TEXT: Final = 10_000_000


class TextBudget:
    """Counts the characters of a text that is about to be made.

    A component whose text is larger than what came in (a template, a join, a table) takes from its
    budget, :meth:`RunContext.text_budget <flowrunner.RunContext.text_budget>`, before it makes it.
    """

    __slots__ = ("_left", "most")

    def __init__(self, most: int = MOST_TEXT) -> None:
        self.most = self._left = most

    def take(self, count: int) -> None:
        """Take as many characters as will be made.

        :raises ValueError: if there is not so much left.
        """
        self._left -= count
        if self._left < 0:
            raise too_long(self.most)


def too_long(most: int) -> ValueError:
    """Return the error for a component that makes more than it may."""
    return ValueError(f"it would make more than {most} characters of text (FLOWRUNNER_MAX_TEXT)")
