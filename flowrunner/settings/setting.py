"""A setting as it is declared, and the settings of a runner as they were read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowrunner.settings.values import text


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its name without the prefix, its default, what it is for, and how it is read.

    ``parse`` takes the configured value or the text of the environment variable and raises
    ``ValueError`` or ``TypeError`` with a reason. ``secret`` values are never shown.
    """

    name: str
    default: Any
    help: str
    parse: Callable[[Any], Any] = text
    secret: bool = False


class Settings:
    """The settings of one runner, read once.

    ``settings.data_dir`` is the value of ``FLOWRUNNER_DATA_DIR``; a name that nobody declared
    raises AttributeError. ``sources`` says where each value came from.
    """

    def __init__(self, values: Mapping[str, Any], sources: Mapping[str, str], prefix: str) -> None:
        self._values = dict(values)
        vars(self).update({name.lower(): value for name, value in values.items()})
        self.sources = dict(sources)
        self.prefix = prefix

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __contains__(self, name: str) -> bool:
        return name.upper() in self._values

    def with_values(self, **values: Any) -> Settings:
        """Return a copy with some values replaced, by lower-case name."""
        return Settings({**self._values, **{k.upper(): v for k, v in values.items()}}, self.sources, self.prefix)
