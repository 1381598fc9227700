"""Mask secrets in command lines, such as the value after ``--token``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from flowrunner.store.credentials import MASK, is_secret_name

_LONGEST: Final = 64
_WORDS: Final = re.compile(r"\s+|(?:\"[^\"]*\"|'[^']*'|\S)+")
#: Options whose values are secret, although a field of the same name need not be.
_SECRET_OPTIONS: Final = frozenset({"key", "pat"})
#: Options that take a name and a value, such as environment variables and headers.
_NAMED: Final = {"-e": "=", "--env": "=", "-H": ":", "--header": ":", "--headers": ":"}


def mask_arguments(words: Sequence[object]) -> list[object]:
    """Return the arguments of a command without the values of secret options; arguments that are not text are kept."""
    return list(_masked(words))


def mask_command(line: str) -> str:
    """Return a command line, given as one text, without the values of secret options."""
    parts = _WORDS.findall(line)
    places = [place for place, part in enumerate(parts) if not part.isspace()]
    for place, word in zip(places, _masked([parts[place] for place in places]), strict=True):
        parts[place] = str(word)
    return "".join(parts)


def _masked(words: Sequence[object]) -> Iterator[object]:
    option = ""
    for word in words:
        if not isinstance(word, str) or not word:
            yield MASK if _is_secret(option) and type(word) in (int, float) else word
            option = ""
            continue
        yield _word(option, word)
        option = word if word.startswith("-") else ""


def _word(option: str, word: str) -> str:
    if option and not word.startswith("--"):
        if _is_secret(option):
            return MASK
        if option in _NAMED:
            return _behind(word, _NAMED[option])
    name, equals, value = word.partition("=")
    if equals and value:
        if name in _NAMED:
            return f"{name}={_behind(value, _NAMED[name])}"
        if is_secret_name(name[-_LONGEST:]) or (name.startswith("-") and _is_secret(name)):
            return f"{name}={MASK}"
    return word


def _behind(text: str, mark: str) -> str:
    """Mask the value after a name; a name alone refers to a variable and is kept."""
    name, found, value = text.partition(mark)
    return f"{name}{mark}{MASK}" if found and value else text


def _is_secret(option: str) -> bool:
    name = option.lstrip("-")[-_LONGEST:]
    return option.startswith("-") and (is_secret_name(name) or name.lower() in _SECRET_OPTIONS)
