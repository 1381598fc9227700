"""Templates with fields in braces, filled in one pass; values are never expanded again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from flowrunner import TextBudget, text_of

from .values import json_text

#: ``{{`` and ``}}`` are literal braces, ``{name}`` is a field.
_SINGLE: Final = re.compile(r"\{\{|\}\}|\{([^{}\n]*)\}")
#: ``{{name}}`` and ``{{{name}}}`` are fields; a single brace is text.
_DOUBLE: Final = re.compile(r"\{\{\{([^{}\n]*)\}\}\}|\{\{([^{}\n]*)\}\}")
_NAME: Final = re.compile(r"[^\W\d][\w -]*")
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[([^\[\]]*)\]")
_SECTION_SIGNS: Final = tuple("#/^&>!=")
#: Each field of a prompt is an input of its vertex.
MOST_FIELDS: Final = 1000

#: Gets what stands between the braces; returns its text, or None if that is not a field but mere text.
Lookup = Callable[[str], str | None]


def is_name(text: str) -> bool:
    """Return whether a text between braces can only mean a field: a word, perhaps of several parts."""
    return _NAME.fullmatch(text) is not None


def fill(template: str, lookup: Lookup, budget: TextBudget, *, double: bool = False) -> str:
    """Return a template with its fields filled in.

    Braces that hold no field stay as they are, so that code and JSON may stand in a template.

    :param lookup: gets what stands between the braces, without blanks around it; asked once a name.
    :param budget: the text that is made comes out of it, before it is made.
    :param double: fields are ``{{name}}``, and single braces are text.
    :raises ValueError: if a double-braced tag is more than a field, or the text is larger than may be.
    """
    known: dict[str, str | None] = {}

    def filled(found: re.Match[str]) -> str:
        whole = found.group()
        inside = (found[1] or found[2] or "") if double else found[1]
        if inside is None:
            return whole[0]
        name = inside.strip()
        if double and name.startswith(_SECTION_SIGNS):
            raise ValueError(f"the template has the tag {whole[:40]}; only plain fields such as {{{{name}}}} work")
        if name not in known:
            known[name] = lookup(name) if name else None
        value = known[name]
        if value is None:
            return whole
        budget.take(len(value))
        return value

    budget.take(len(template))
    return (_DOUBLE if double else _SINGLE).sub(filled, template)


def fill_rows(template: str, rows: Iterable[Lookup], separator: str, budget: TextBudget) -> str:
    """Return a template filled in for each row, with a separator between them; see :func:`fill`."""
    texts = []
    for lookup in rows:
        budget.take(len(separator))
        texts.append(fill(template, lookup, budget))
    return separator.join(texts)


def fields_of(template: str, *, double: bool = False, also: Mapping[str, Any] | None = None) -> list[str]:
    """Return the names of a template's fields, each once, in order.

    :param also: further names that count as fields, however they look.
    :raises ValueError: if there are more than any template needs.
    """
    names: dict[str, None] = {}
    for found in (_DOUBLE if double else _SINGLE).finditer(template):
        inside = next((part for part in found.groups() if part is not None), None)
        name = inside.strip() if inside is not None else ""
        if name and name not in names and (is_name(name) or (also is not None and name in also)):
            names[name] = None
            if len(names) > MOST_FIELDS:
                raise ValueError(f"its template has more than {MOST_FIELDS} fields")
    return list(names)


def field_text(value: Any) -> str:
    """Return the text of a field's value: objects and lists as JSON."""
    if value is None:
        return ""
    if isinstance(value, (Mapping, list, tuple, bool)):
        return json_text(value, indent=None)
    return text_of(value)


def look_into(row: Mapping[str, Any]) -> Lookup:
    """Return a lookup for the members of an object, also of inner ones: ``{user.name}``, ``{items[0]}``.

    A member that the object lacks is empty.
    """

    def lookup(name: str) -> str | None:
        if name in row:
            return field_text(row[name])
        first = re.split(r"[.\[]", name, maxsplit=1)[0]
        if first in row:
            found, steps = _walk(row[first], name[len(first) :])
            return field_text(found) if steps else None
        return "" if is_name(name) else None

    return lookup


def _walk(value: Any, path: str) -> tuple[Any, bool]:
    """Follow a path into a value; the second says whether the path can be read at all."""
    place = 0
    while place < len(path):
        step = _STEP.match(path, place)
        if step is None:
            return None, False
        value = _member(value, step[1] if step[1] is not None else step[2].strip("'\""))
        place = step.end()
    return value, True


def _member(value: Any, key: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(key)
    if isinstance(value, Sequence) and not isinstance(value, str) and re.fullmatch(r"-?\d{1,9}", key):
        index = int(key)
        return value[index] if -len(value) <= index < len(value) else None
    return None
