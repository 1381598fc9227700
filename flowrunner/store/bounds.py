"""Limits on what is stored for one owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowrunner.errors import BadRequest, BodyTooLarge

if TYPE_CHECKING:
    from flowrunner.settings.setting import Settings


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit on the number of stored things of one kind, and on their total size in bytes; None means no limit.

    :param setting: the setting of the number, without prefix; the setting of the size ends in ``_SIZE``.
    :param whose: the owners that the limit applies to, as the beginning of an error message.
    """

    number: int | None
    size: int | None = None
    setting: str = ""
    whose: str = "One user"

    @property
    def is_none(self) -> bool:
        """Whether there is no limit."""
        return self.number is None and self.size is None

    def check(self, number: int, size: int = 0, *, more: int = 1, bytes_more: int = 0) -> None:
        """Refuse an addition that would exceed the limit.

        :param number: the current number.
        :param size: their size in bytes.
        :param more: the number to add.
        :param bytes_more: the size to add, in bytes.
        :raises BadRequest: if there would be too many.
        :raises BodyTooLarge: if they would be too large.
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
    """Return the limit in the settings.

    :param setting: the setting of the number, such as ``MAX_FLOWS``; the size is limited if it has a setting too.
    """
    size: Any = None
    if f"{setting}_SIZE" in settings:
        size = getattr(settings, f"{setting}_size".lower())
    return Bound(getattr(settings, setting.lower()), size, setting, whose)


#: No limit, for stores opened outside a runner.
NO_BOUND = Bound(None)
