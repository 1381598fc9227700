"""How values of settings are read: each takes what configuration or environment holds."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from flowrunner.errors import SettingsInvalid

#: Parts of the API that are not needed to talk.
API_PARTS: Final = ("flows", "variables", "files", "keys", "monitor", "webhook", "openapi")


def text(value: Any) -> str:
    """Parse a string."""
    return str(value)


def path(value: Any) -> Path:
    """Parse the path of a file or folder; ``~`` is the home folder."""
    return Path(value).expanduser().absolute()


def boolean(value: Any) -> bool:
    """Parse true/false, yes/no, on/off, 1/0.

    :raises ValueError: for anything else.
    """
    if isinstance(value, bool):
        return value
    found = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    word = str(value).strip().lower()
    if word not in found:
        raise ValueError("must be true or false")
    return found[word]


def words(value: Any) -> tuple[str, ...]:
    """Parse a list, or words separated by commas; a path is one word.

    :raises ValueError: for anything else.
    """
    if isinstance(value, os.PathLike):
        value = [value]
    if isinstance(value, bytes) or not (isinstance(value, str) or hasattr(value, "__iter__")):
        raise ValueError("must be a list, or words separated by commas")
    parts = value.split(",") if isinstance(value, str) else list(value)
    return tuple(str(part).strip() for part in parts if str(part).strip())


def integer(low: int, high: int | None = None) -> Callable[[Any], int]:
    """Parse a whole number within bounds."""

    def parse(value: Any) -> int:
        if isinstance(value, bool):
            raise ValueError("must be a whole number")
        number = int(value)
        if number < low or (high is not None and number > high):
            raise ValueError(f"must be a whole number, {low} or more" + (f" to {high}" if high is not None else ""))
        return number

    return parse


def seconds(value: Any) -> float:
    """Parse a number of seconds, 0 or more.

    :raises ValueError: for a negative number or no number.
    """
    number = float(value)
    if not 0 <= number < float("inf"):
        raise ValueError("must be a number of seconds, 0 or more")
    return number


#: A window is no longer than what databases count in seconds.
_RATE: Final = re.compile(
    r"[1-9]\d{0,8} *(?:/|per) *(?:[1-9]\d{0,5} *)?(?:second|minute|hour|day|month|year)s?", re.ASCII
)


def rates(value: Any) -> tuple[str, ...]:
    """Parse rates, such as ``10/second; 600/hour``; all of them apply.

    :raises ValueError: for anything else.
    """
    if isinstance(value, (list, tuple)):
        value = ";".join(map(str, value))
    found = tuple(part.strip().lower() for part in re.split(r"[;,|]", str(value)) if part.strip())
    for part in found:
        if not _RATE.fullmatch(part):
            raise ValueError("must be a rate such as 60/minute; separate several with ;")
    return found


def limits_store(value: Any) -> str:
    """Parse the place where limits are counted: ``database``, ``memory``, or the URL of a Redis server.

    :raises ValueError: for anything else.
    """
    kinds = ("redis://", "rediss://", "redis+unix://", "redis+sentinel://", "redis+cluster://")
    if value not in ("database", "memory") and not str(value).startswith(kinds):
        raise ValueError("must be database, memory, or the URL of a Redis server (redis://...)")
    return str(value)


def choice(*options: str) -> Callable[[Any], str]:
    """Parse one of the given words."""

    def parse(value: Any) -> str:
        if value not in options:
            raise ValueError(f"must be one of {', '.join(options)}")
        return str(value)

    return parse


def api_parts(value: Any) -> tuple[str, ...]:
    """Parse names of parts of the API; ``all`` or True stands for every one, ``none`` or False for none.

    :raises ValueError: for a part that is not there.
    """
    if isinstance(value, bool) or value in ("all", "none"):
        return API_PARTS if value in (True, "all") else ()
    found = words(value)
    unknown = [name for name in found if name not in API_PARTS]
    if unknown:
        raise ValueError(f"unknown part {unknown[0]}; must be all, none, or some of {', '.join(API_PARTS)}")
    return found


def split_address(bind: str) -> tuple[str, int]:
    """Return host and port of ``host:port``, ``[v6 address]:port``, or a host alone.

    :raises SettingsInvalid: for anything else, such as a socket file.
    """
    host, colon, port = bind.rpartition(":")
    if not colon or bind.endswith("]"):
        host, port = bind, "7860"
    if not host or "/" in bind or not port.isdecimal() or int(port) > 65535:
        raise SettingsInvalid(
            f"FLOWRUNNER_BIND {bind!r} cannot be used: flowrunner serve needs HOST:PORT. For other binds start"
            " gunicorn -c python:flowrunner.serving wsgi:app."
        )
    return host.strip("[]"), int(port)
