"""Read settings once per app, from configuration, environment and defaults, and refuse what cannot be used."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Iterable, Mapping
from typing import Any, Final

from flowrunner.errors import SettingsInvalid, is_interrupt, reason_of
from flowrunner.settings.setting import Setting, Settings

logger = logging.getLogger("flowrunner")

PREFIX: Final = "FLOWRUNNER_"


def read_settings(
    table: Iterable[Setting],
    *,
    config: Mapping[str, Any],
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    prefix: str = PREFIX,
) -> Settings:
    """Read settings, the first that is given: command line, configuration, arguments, environment, default.

    :param table: what is declared, the core's and the plugins'.
    :param config: an app's configuration.
    :param overrides: what the command line gives, by name without prefix.
    :param defaults: arguments of the extension, by name without prefix.
    :raises SettingsInvalid: for a value that cannot be used, naming the setting.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in table:
        full = prefix + setting.name
        if overrides and overrides.get(setting.name) is not None:
            raw, source = overrides[setting.name], "command line"
        elif config.get(full) is not None:
            raw, source = config[full], "configuration"
        elif defaults and defaults.get(setting.name) is not None:
            raw, source = defaults[setting.name], "argument"
        elif environ.get(full, "") != "":
            raw, source = environ[full], "environment"
        else:
            values[setting.name], sources[setting.name] = setting.default, "default"
            continue
        try:
            values[setting.name] = setting.parse(raw)
        except BaseException as error:
            if is_interrupt(error):
                raise
            shown = "" if setting.secret else f" {raw!r}"
            raise SettingsInvalid(f"{full}{shown} cannot be used: {_why(error)}.") from error
        sources[setting.name] = source
    return Settings(values, sources, prefix)


def _why(error: BaseException) -> str:
    """Return the reason of a ``parse``; what it did not raise on purpose has its name."""
    return str(error).rstrip(".") if isinstance(error, (ValueError, TypeError)) else reason_of(error)


def refuse_unknown(table: Iterable[Setting], overrides: Mapping[str, Any]) -> None:
    """Refuse settings given in code that nobody declares.

    :param overrides: by name without prefix.
    :raises SettingsInvalid: with the nearest name that is known.
    """
    known = [setting.name for setting in table]
    for name in overrides:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0].lower()}?" if near else "."
            raise SettingsInvalid(f"{name.lower()} is not a setting of flowrunner or of a plugin{hint}")


def warn_about_unknown(
    table: Iterable[Setting],
    *,
    config: Mapping[str, Any],
    environ: Mapping[str, str] | None = None,
    prefix: str = PREFIX,
) -> list[str]:
    """Warn about names with our prefix that nobody declares, with the nearest known one.

    :returns: the sentences, which are logged too.
    """
    environ = os.environ if environ is None else environ
    known = [prefix + setting.name for setting in table]
    sentences = []
    for name in sorted({*config, *environ}):
        if isinstance(name, str) and name.startswith(prefix) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else "."
            sentences.append(f"{name} is not a setting of flowrunner or of a plugin{hint}")
    for sentence in sentences:
        logger.warning("%s", sentence)
    return sentences
