"""Parse untrusted JSON: strict, bounded, with the position of errors."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from flowrunner.errors import FlowInvalid
from flowrunner.text.json_text import finite_number, is_too_deep, refuse_constant

#: An escape that may leave half of a character behind, which no UTF-8 text can hold.
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")
#: So much of a key is shown.
_SHOWN: Final = 80
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")


#: The way to a value: keys and indexes from the top.
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a flow file is accepted.

    ``max_bytes`` counts unpacked, for an archive; ``max_name`` is for the characters of ids, types
    and names, which stand in many sentences.
    """

    max_bytes: int = 32 * 1024 * 1024
    max_vertices: int = 5000
    max_edges: int = 50_000
    max_depth: int = 200
    max_flows: int = 1000
    max_name: int = 1000

    def check_name(self, name: str, *path: str | int) -> None:
        """Refuse a name that is too long.

        :raises FlowInvalid: naming its place.
        """
        if len(name) > self.max_name:
            where = place(*path)
            raise FlowInvalid(f"{where}: {len(name)} characters; at most {self.max_name} are accepted.")


def place(*steps: str | int) -> str:
    """Return a key path as it is shown: ``components.chat.settings["my field"]``, ``edges[2]``."""
    shown = ""
    for step in steps:
        if isinstance(step, str) and len(step) > _SHOWN:
            step = f"{step[:_SHOWN]}…"
        if isinstance(step, int):
            shown += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            shown += f".{step}" if shown else step
        else:
            shown += f"[{json.dumps(step, ensure_ascii=False)}]"
    return shown or "the top"


def decode(data: bytes) -> str:
    """Return the text of a file; a byte order mark is left out.

    :raises FlowInvalid: naming the byte that is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FlowInvalid(f"The file is not UTF-8: byte {error.start} cannot be read.") from error


def parse_json(data: bytes | str, limits: Limits) -> Any:
    """Read JSON text.

    :raises FlowInvalid: for broken JSON (with line and column), a key that stands twice, NaN,
        a number or nesting beyond all bounds, half a character, or too many bytes.
    """
    if len(data) > limits.max_bytes:
        raise FlowInvalid(f"The file has {len(data)} bytes; at most {limits.max_bytes} are accepted.")
    text = decode(data) if isinstance(data, bytes) else data.removeprefix("\ufeff")
    repeated: list[dict[str, Any]] = []

    def make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            repeated.append({"object": made, "key": _first_repeated(key for key, _ in pairs)})
        return made

    try:
        value = json.loads(
            text, object_pairs_hook=make_object, parse_constant=refuse_constant, parse_float=finite_number
        )
    except json.JSONDecodeError as error:
        raise FlowInvalid(f"Line {error.lineno}, column {error.colno} is not valid JSON: {error.msg}.") from error
    except RecursionError as error:
        raise FlowInvalid(_too_deep(limits)) from error
    except ValueError as error:
        # Python's own words for too long a number speak of a setting of Python.
        reason = "a number has too many digits" if "integer string" in str(error) else error
        raise FlowInvalid(f"The JSON cannot be read: {reason}.") from error
    check_depth(value, limits)
    if repeated:
        where = next((path for path, found in _walk(value) if found is repeated[0]["object"]), ())
        raise FlowInvalid(f"{place(*where)}: the key {repeated[0]['key'][:_SHOWN]!r} occurs twice.")
    if _SURROGATE_ESCAPE.search(text):
        check_texts(value)
    return value


def check_depth(value: Any, limits: Limits) -> None:
    """Refuse a value that is nested too deeply, without recursion.

    :raises FlowInvalid: beyond the limit.
    """
    if is_too_deep(value, limits.max_depth):
        raise FlowInvalid(_too_deep(limits))


def check_texts(value: Any) -> None:
    """Refuse what JSON files cannot hold: half characters, NaN, and anything that is not a JSON value.

    :raises FlowInvalid: naming the key path.
    """
    for path, found in _walk(value):
        if isinstance(found, str):
            _refuse_half_characters(found, path)
        elif found.__class__ is dict:
            for key in found:
                if not isinstance(key, str):
                    raise FlowInvalid(f"{place(*path)}: the key {key!r} is not a string.")
                _refuse_half_characters(key, path)
        elif isinstance(found, float):
            if not math.isfinite(found):
                raise FlowInvalid(f"{place(*path)}: {found} is not a JSON number.")
        elif not (found is None or found.__class__ in (bool, int, list)):
            raise FlowInvalid(f"{place(*path)}: {type(found).__name__} is not a JSON value.")


def _refuse_half_characters(text: str, path: Path) -> None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise FlowInvalid(f"{place(*path)}: the text contains a lone surrogate (half of a character).")


def _walk(value: Any) -> Iterator[tuple[Path, Any]]:
    """Yield every value inside with its path, without recursion."""
    waiting: list[tuple[Path, Any]] = [((), value)]
    while waiting:
        path, found = waiting.pop()
        yield path, found
        if found.__class__ is dict:
            waiting.extend(((*path, key), child) for key, child in found.items())
        elif found.__class__ is list:
            waiting.extend(((*path, index), child) for index, child in enumerate(found))


def _first_repeated(keys: Iterable[str]) -> str:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            return key
        seen.add(key)
    return ""


def _too_deep(limits: Limits) -> str:
    return f"The JSON is nested more than {limits.max_depth} levels deep."
