"""Mask the secrets of a flow that is shown to anyone but its author."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from flowrunner.store.argmask import mask_arguments, mask_command
from flowrunner.store.credentials import (
    LABELS,
    MASK,
    VALUES,
    is_secret_name,
    is_secret_pair,
    mask_code,
    mask_text,
    secret_member,
)
from flowrunner.text.json_text import is_unicode

#: Returns the secret inputs of a component type.
SecretInputs = Callable[[str], frozenset[str]]

_SECRET_KINDS: Final = frozenset({"SecretStrInput", "MultilineSecretInput", "secret"})
#: Members that fields of components have, and rows of tables do not.
_OF_FIELDS: Final = ("_input_type", "advanced", "show")
#: Tables of headers and of environment variables.
_HEADER_TABLE: Final = re.compile(
    r"(?:^|[_-])(?:headers?|cookies|env|env(?:ironment)?[_-]?var(?:iable)?s)$", re.IGNORECASE
)
#: Fields that hold a command line or its arguments.
_COMMANDS: Final = frozenset({"args", "argv", "command"})
#: Headers whose values are not secret.
_PLAIN_HEADERS: Final = frozenset(
    {
        "accept",
        "accept-charset",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "connection",
        "content-encoding",
        "content-language",
        "content-type",
        "user-agent",
    }
)
#: The name of a variable, as written in environments.
_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
#: A user name without a password in an address is often a token.
_USER: Final = re.compile(r"(://)[^\s/@\"'<>?#]{1,256}@")
#: The first characters of a text that may be JSON, and the characters allowed before them.
_OF_JSON: Final = frozenset("{[")
_BEFORE_JSON: Final = "\ufeff \t\r\n"
_CURL_HEADER: Final = re.compile(
    r"((?:-H|--header)[ =]{0,2}(?P<quote>[\"'])(?P<name>[^:\"'\r\n]{1,128}):[ \t]*)[^\"'\r\n]+(?=(?P=quote))"
)


def mask_graph(graph: Any, secret_inputs: SecretInputs = lambda kind: frozenset()) -> Any:
    """Return a copy of the JSON of a flow with secrets masked.

    Masked are: fields that are secret by name, by a flag in the file or by declaration of the component; tables of
    headers and environment variables; secret options of commands; passwords in addresses; and everything that looks
    like a credential. References to variables are kept.

    :param secret_inputs: returns the secret inputs of a component type.
    """
    return _Mask(secret_inputs).value(graph, frozenset())


class _Mask:
    """One pass through a flow."""

    __slots__ = ("_secret_inputs",)

    def __init__(self, secret_inputs: SecretInputs) -> None:
        self._secret_inputs = secret_inputs

    def value(self, value: Any, declared: frozenset[str]) -> Any:
        if isinstance(value, str):
            return self._text(value, declared)
        if isinstance(value, Mapping):
            return self._object(value, declared)
        if isinstance(value, (list, tuple)):
            if is_secret_pair(value):
                return [value[0], MASK]
            return [self.value(item, declared) for item in value]
        return value

    def _text(self, text: str, declared: frozenset[str]) -> str:
        """Mask a text. A text that is JSON, such as the configuration of a server, is masked as JSON."""
        bare = text.lstrip(_BEFORE_JSON)
        if bare[:1] in _OF_JSON:
            try:
                said = json.loads(bare, object_pairs_hook=_with_all_members)
                shown = self.value(said, declared)
            except ValueError:
                return _mask_shown(text)
            except RecursionError:
                return MASK
            if shown != said:
                return _json_text(shown)
        return _mask_shown(text)

    def _object(self, value: Mapping[Any, Any], declared: frozenset[str]) -> dict[str, Any]:
        declared = declared | self._declared_by(value)
        hidden = secret_member(value)
        if value.get("password") is True or value.get("_input_type") in _SECRET_KINDS:
            hidden = "value"
        shown = {}
        for key, item in value.items():
            name = str(key)
            if name == hidden:
                shown[name] = _hide_setting(item, value)
            elif name in declared or is_secret_name(name):
                shown[name] = self._hide(item, declared)
            elif _HEADER_TABLE.search(name):
                shown[name] = self._table(item, declared)
            elif name in _COMMANDS:
                shown[name] = self._command(item, declared)
            elif name == "code":
                shown[name] = self._code(item, declared)
            else:
                shown[name] = self.value(item, declared)
        return shown

    def _declared_by(self, value: Mapping[Any, Any]) -> frozenset[str]:
        """Return the fields of a node declared secret by its component or its file."""
        kind, listed = value.get("type"), value.get("secrets")
        found = self._secret_inputs(kind) if isinstance(kind, str) else frozenset[str]()
        if isinstance(listed, (list, tuple)):
            found = found | {name for name in listed if isinstance(name, str)}
        return found

    def _hide(self, item: Any, declared: frozenset[str]) -> Any:
        """Mask the value of a secret name: a plain value, or the value of a field object."""
        if isinstance(item, Mapping):
            if _is_field(item):
                rest = self._object(item, declared)
                return {**rest, "value": _hide_setting(item["value"], item)} if "value" in item else rest
            if _is_reference(item):
                return dict(item)
            return {str(key): self._hide(inner, declared) for key, inner in item.items()}
        if isinstance(item, (list, tuple)):
            return [self._hide(inner, declared) for inner in item]
        return _hide_plain(item)

    def _table(self, item: Any, declared: frozenset[str]) -> Any:
        """Mask the values of a table of headers, except headers known to be harmless."""
        if isinstance(item, Mapping):
            if _is_field(item):
                rest = self._object(item, declared)
                return {**rest, "value": self._table(item["value"], declared)} if "value" in item else rest
            if _is_reference(item):
                return dict(item)
            label = next((item[name] for name in LABELS if name in item), None)
            if label is not None:
                hidden = () if _is_plain_header(label) else VALUES
                return {
                    str(key): self._hide(inner, declared) if key in hidden else self.value(inner, declared)
                    for key, inner in item.items()
                }
            return {
                str(key): self.value(inner, declared) if _is_plain_header(key) else self._hide(inner, declared)
                for key, inner in item.items()
            }
        if isinstance(item, (list, tuple)):
            if len(item) == 2 and all(isinstance(part, str) for part in item):
                return [item[0], item[1] if _is_plain_header(item[0]) else _hide_plain(item[1])]
            return [self._table(inner, declared) for inner in item]
        if isinstance(item, str) and item:
            return "\n".join(_mask_header_line(line) for line in item.splitlines())
        return item

    def _command(self, item: Any, declared: frozenset[str]) -> Any:
        """Mask the values of secret options in a command, given as a text or as a list of arguments."""
        if isinstance(item, str):
            return self.value(mask_command(item), declared)
        if isinstance(item, (list, tuple)) and not is_secret_pair(item):
            return [self.value(word, declared) for word in mask_arguments(item)]
        if isinstance(item, Mapping) and _is_field(item) and "value" in item:
            return {**self._object(item, declared), "value": self._command(item["value"], declared)}
        return self.value(item, declared)

    def _code(self, item: Any, declared: frozenset[str]) -> Any:
        """Mask code so that it remains code: only literals are masked, not names."""
        if isinstance(item, str):
            return mask_code(item)
        if isinstance(item, Mapping) and isinstance(item.get("value"), str):
            return {**self._object({**item, "value": ""}, declared), "value": mask_code(item["value"])}
        return self.value(item, declared)


def _with_all_members(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; a name that occurs several times gets a list of all its values."""
    found = dict(members)
    if len(found) == len(members):
        return found
    every: dict[str, list[Any]] = {}
    for name, value in members:
        every.setdefault(name, []).append(value)
    return {name: values if len(values) > 1 else values[0] for name, values in every.items()}


def _json_text(value: Any) -> str:
    """Return a value as JSON in valid Unicode, even if a text in it has a lone surrogate."""
    text = json.dumps(value, ensure_ascii=False)
    return text if is_unicode(text) else json.dumps(value)


def _hide_setting(item: Any, field: Mapping[Any, Any]) -> Any:
    """Mask the value of a field; if the field refers to a variable, the name of the variable is kept."""
    if field.get("load_from_db") is True and isinstance(item, str) and _is_variable(item):
        return item
    if isinstance(item, Mapping):
        if _is_reference(item):
            return dict(item)
        return {str(key): _hide_setting(inner, {}) for key, inner in item.items()}
    if isinstance(item, (list, tuple)):
        return [_hide_setting(inner, {}) for inner in item]
    return _hide_plain(item)


def _hide_plain(item: Any) -> Any:
    """Mask a plain value; empty values and booleans are not secret."""
    return item if item is None or item == "" or isinstance(item, bool) else MASK


def _is_field(item: Mapping[Any, Any]) -> bool:
    """Return whether an object is a field of a component, and not a row of a table."""
    if any(word in item for word in _OF_FIELDS):
        return True
    return "value" in item and not any(label in item for label in LABELS)


def _is_reference(item: Mapping[Any, Any]) -> bool:
    return len(item) == 1 and isinstance(item.get("$variable"), str)


def _is_variable(text: str) -> bool:
    return _VARIABLE.fullmatch(text) is not None and mask_text(text) == text


def _is_plain_header(name: Any) -> bool:
    return isinstance(name, str) and name.strip().lower() in _PLAIN_HEADERS


def _mask_header_line(line: str) -> str:
    name, colon, _ = line.partition(":")
    return line if _is_plain_header(name) else f"{name}: {MASK}" if colon else MASK


def _mask_shown(text: str) -> str:
    if "curl" in text:
        text = _CURL_HEADER.sub(_mask_curl_header, text)
    masked = mask_text(text)
    return _USER.sub(rf"\1{MASK}@", masked) if "://" in masked else masked


def _mask_curl_header(found: re.Match[str]) -> str:
    return found[0] if _is_plain_header(found["name"]) else found[1] + MASK
