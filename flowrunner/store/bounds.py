"""Limits on what is stored for one owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowrunner.errors import BadRequest, BodyTooLarge

if TYPE_CHECKING:
    from flowrunner.settings.setting import Settings


@dataclass(frozen=True, slots=True)
class Bound:
    """How many things of a kind there may be, and how many bytes in all of them; None for any number.

    :param setting: the setting that says the number, without prefix; that of the bytes ends in ``_SIZE``.
    :param whose: whose things they are, as a sentence begins.
    """

    number: int | None
    size: int | None = None
    setting: str = ""
    whose: str = "One user"

    @property
    def is_none(self) -> bool:
        """Whether there is no bound at all."""
        return self.number is None and self.size is None

    def check(self, number: int, size: int = 0, *, more: int = 1, bytes_more: int = 0) -> None:
        """Refuse what would be too much.

        :param number: how many there are.
        :param size: bytes in them.
        :param more: how many are to come.
        :param bytes_more: bytes in those.
        :raises BadRequest: over the number.
        :raises BodyTooLarge: over the bytes.
        """
        kind = self.setting.removeprefix("MAX_").removeprefix("VISITOR_").lower()
        if self.number is not None and number + more > self.number:
            raise BadRequest(
                f"{self.whose} may have at most {self.number} {kind} (FLOWRUNNER_{self.setting}) and already has"
                f" {number}: delete some first."
            )
        if self.size is not None and size + bytes_more > self.size:
            raise BodyTooLarge(
                f"The {kind} of {self.whose[0].lower()}{self.whose[1:]} may have at most {self.size} bytes in total"
                f" (FLOWRUNNER_{self.setting}_SIZE), but would have {size + bytes_more}: delete some first."
            )


def bound_of(settings: Settings, setting: str, whose: str = "One user") -> Bound:
    """Return the bound that settings say.

    :param setting: the one with the number, such as ``MAX_FLOWS``; the bytes are bounded where there is one for them.
    """
    size: Any = None
    if f"{setting}_SIZE" in settings:
        size = getattr(settings, f"{setting}_size".lower())
    return Bound(getattr(settings, setting.lower()), size, setting, whose)


#: No bound, for a store that somebody opens by themselves.
NO_BOUND = Bound(None)
