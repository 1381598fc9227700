"""Normalize the spellings of component types in flow files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

#: ``ext:bundle:Class@slot``, as files since 1.10 name components that moved into a bundle.
_BUNDLED: Final = re.compile(r"ext:(?:[^:]*:)*(?P<name>[^:@]+)(?:@.*)?", re.DOTALL)
#: What editors put behind the type of a copy: ``CalculatorComponent (i4779)``, ``ChatInput-a1B2c``.
_COPY: Final = re.compile(r"(?P<name>\S.*?)(?:\s+\([\w-]{1,40}\)|-[A-Za-z0-9]{5})\s*", re.DOTALL)
#: No type has a longer name; looking for its parts would take the square of that time.
_LONGEST: Final = 200
_SUFFIX: Final = "Component"


def spellings(type_name: str) -> Iterator[str]:
    """Yield what a type name of a file may mean, the name itself first."""
    yield type_name
    if len(type_name) > _LONGEST:
        return
    bare = type_name.strip()
    yield bare
    if found := _BUNDLED.fullmatch(bare):
        bare = found["name"].strip()
        yield bare
    if found := _COPY.fullmatch(bare):
        bare = found["name"]
        yield bare


def loose(type_name: str) -> str:
    """Return a name without what the class has and the type has not: the suffix, and how letters are written."""
    return re.sub(r"[^a-z0-9]", "", type_name.removesuffix(_SUFFIX).lower())


def is_class_name(type_name: str) -> bool:
    """Return whether a name is that of a class, of which the type may be a shorter form."""
    return type_name.endswith(_SUFFIX) and type_name != _SUFFIX
