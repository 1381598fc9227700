"""marshmallow fields for queries, paths and bodies, with the error messages of the reference server.

The first argument of each field is its description in the OpenAPI document.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from marshmallow import Schema, ValidationError, fields

from flowrunner.errors import BadRequest

_TRUE: Final = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE: Final = frozenset({"0", "false", "f", "no", "n", "off"})
#: Larger than any list, and small enough for computations in a store.
_LARGEST: Final = 2**31 - 1


def wrong(kind: str, message: str, **context: Any) -> ValidationError:
    """Return the error for a value: ``type``, ``msg`` and ``ctx`` of its entry; its location is added later."""
    return ValidationError([{"type": kind, "msg": message, **({"ctx": context} if context else {})}])


class _Field(fields.Field[Any]):
    """The base class of the fields.

    :param help: the description of the value.
    :param json: further keywords of its JSON schema.
    """

    #: The type of a value, and the error type and message for other values.
    takes: ClassVar[type] = object
    unfit: ClassVar[tuple[str, str]]

    def __init__(self, help: str = "", *, json: Mapping[str, Any] | None = None, **options: Any) -> None:
        about = {"description": help or None, **(json or {})}
        super().__init__(metadata={key: value for key, value in about.items() if value is not None}, **options)

    def make_error(self, key: str, **values: Any) -> ValidationError:
        """Return the error for a value that is missing or of the wrong type."""
        return wrong(*(("missing", "Field required") if key == "required" else self.unfit))

    def _deserialize(self, value: Any, attr: Any, data: Any, **options: Any) -> Any:
        if not isinstance(value, self.takes):
            raise self.make_error("invalid")
        return super()._deserialize(value, attr, data, **options)


class Text(_Field, fields.String):
    """Any text.

    :param least: the minimum length in characters.
    :param blank: the value of an empty text.
    """

    takes = str
    unfit = ("string_type", "Input should be a valid string")

    def __init__(self, help: str = "", *, least: int = 0, blank: str | None = "", **options: Any) -> None:
        super().__init__(help, json={"minLength": least or None, **options.pop("json", {})}, **options)
        self._least = least
        self._blank = blank

    def _deserialize(self, value: Any, attr: Any, data: Any, **options: Any) -> Any:
        text = super()._deserialize(value, attr, data, **options)
        if len(text) < self._least:
            message = f"String should have at least {self._least} character{'' if self._least == 1 else 's'}"
            raise wrong("string_too_short", message, min_length=self._least)
        return text or self._blank


def filter_text(help: str) -> Text:
    """Return a query field that filters a list by a text; an empty text does not filter."""
    return Text(help, blank=None)


class Choice(_Field, fields.String):
    """One of several values."""

    takes, unfit = str, Text.unfit

    def __init__(self, *words: str, help: str = "", **options: Any) -> None:
        super().__init__(help, json={"enum": [*words, *((None,) if options.get("allow_none") else ())]}, **options)
        self.words = words

    def _deserialize(self, value: Any, attr: Any, data: Any, **options: Any) -> Any:
        word = super()._deserialize(value, attr, data, **options)
        if word not in self.words:
            *others, last = (f"'{one}'" for one in self.words)
            raise wrong("enum", f"Input should be {', '.join(others)} or {last}")
        return word


class Number(_Field, fields.Integer):
    """An integer in a query, within bounds."""

    unfit = ("int_parsing", "Input should be a valid integer, unable to parse string as an integer")

    def __init__(self, help: str = "", *, low: int = 0, high: int | None = None, **options: Any) -> None:
        super().__init__(help, json={"minimum": low, "maximum": high}, **options)
        self._low, self._high = low, _LARGEST if high is None else high

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> int:
        try:
            number = int(value)
        except (TypeError, ValueError):
            raise self.make_error("invalid") from None
        if number < self._low:
            message = f"Input should be greater than or equal to {self._low}"
            raise wrong("greater_than_equal", message, ge=self._low)
        if number > self._high:
            raise wrong("less_than_equal", f"Input should be less than or equal to {self._high}", le=self._high)
        return number


class Flag(_Field, fields.Boolean):
    """A boolean in a query, in any common spelling."""

    unfit = ("bool_parsing", "Input should be a valid boolean, unable to interpret input")

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> bool:
        word = value.lower()
        if word not in _TRUE and word not in _FALSE:
            raise self.make_error("invalid")
        return word in _TRUE


class Truth(_Field, fields.Boolean):
    """A boolean in a body."""

    takes = bool
    unfit = ("bool_type", "Input should be a valid boolean")


class Uuid(_Field, fields.UUID):
    """A UUID, converted to its canonical spelling."""

    unfit = ("uuid_type", "UUID input should be a string, bytes or UUID object")

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> Any:
        try:
            return str(uuid.UUID(value))
        except (ValueError, AttributeError, TypeError):
            raise wrong("uuid_parsing", f"Input should be a valid UUID, {_why_no_uuid(value)}") from None


def _why_no_uuid(text: Any) -> str:
    for number, letter in enumerate(str(text), 1):
        if letter not in "0123456789abcdefABCDEF-":
            return f"invalid character: found `{letter}` at {number}"
    return "invalid length: expected length 32 for simple format, found " + str(len(str(text)))


class Object(_Field, fields.Dict):
    """A JSON object with any members."""

    takes = dict
    unfit = ("dict_type", "Input should be a valid dictionary")


class Items(_Field, fields.List[Any]):
    """A list of values of one field.

    :param most: the maximum number of items; more are refused with 400.
    :param too_many: the message for too many items.
    """

    takes = list
    unfit = ("list_type", "Input should be a valid list")

    def __init__(
        self, item: fields.Field[Any], help: str = "", *, most: int | None = None, too_many: str = "", **options: Any
    ) -> None:
        super().__init__(help, json={"maxItems": most}, cls_or_instance=item, **options)
        self._most = most
        self._too_many = too_many or f"The list has {{count}} items; at most {most} are allowed."

    def _deserialize(self, value: Any, attr: Any, data: Any, **options: Any) -> Any:
        if isinstance(value, list) and self._most is not None and len(value) > self._most:
            raise BadRequest(self._too_many.format(count=len(value)))
        return super()._deserialize(value, attr, data, **options)


class Texts(_Field, fields.List[str]):
    """A list of strings, reported as a whole if one item is not a string."""

    unfit = ("list_type", "Input should be a list of strings")

    def __init__(self, help: str = "", *, most: int | None = None, **options: Any) -> None:
        super().__init__(help, json={"maxItems": most}, cls_or_instance=fields.String(), **options)
        self._most = most

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> list[Any]:
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise self.make_error("invalid")
        if self._most is not None and len(value) > self._most:
            raise wrong("too_long", f"List should have at most {self._most} items")
        return value


class Nested(_Field, fields.Nested):  # type: ignore[misc]
    """An object of a schema."""

    takes, unfit = dict, Object.unfit

    def __init__(self, schema: type[Schema], help: str = "", **options: Any) -> None:
        super().__init__(help, nested=schema, **options)


class Anything(_Field, fields.Raw):
    """Any JSON value, validated elsewhere."""

    unfit = ("missing", "Field required")


def entries_of(error: ValidationError, place: Sequence[Any]) -> list[dict[str, Any]]:
    """Return validation errors as the list in ``detail`` of an answer.

    :param place: the location of the value, such as ``("query", "limit")`` or ``("body",)``.
    """
    return list(_flat(error.messages, place))


def _flat(found: Any, place: Sequence[Any]) -> Any:
    if isinstance(found, dict):
        for name, inner in found.items():
            yield from _flat(inner, place if name == "_schema" else (*place, name))
        return
    for entry in found:
        known = entry if isinstance(entry, dict) else {"type": "value_error", "msg": str(entry)}
        yield {"type": known["type"], "loc": list(place), **{k: v for k, v in known.items() if k != "type"}}
