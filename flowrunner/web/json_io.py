"""Read JSON bodies, write JSON answers."""

from __future__ import annotations

import json
import zlib
from codecs import BOM_UTF8
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from flask import Request, Response

from flowrunner.errors import BadRequest, BodyTooLarge, RequestInvalid, UnsupportedBody
from flowrunner.text.json_text import MOST_DEEP, finite_number, is_too_deep, json_bytes, refuse_constant

_encode_shown: Final = json.JSONEncoder(separators=(",", ":"), default=str).encode
_OTHER_LINE_ENDS: Final = (("\x85", "\\u0085"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029"))
_MOST_PACKED: Final = 16
JSON: Final = "application/json"
_PLAIN: Final = ("", "identity")
_TEXTUAL: Final = (JSON, "text/plain", "")
#: What a body without a character says: all members have their defaults.
_EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


def dumps(value: Any) -> str:
    """Return compact JSON; values that JSON does not know are written as text."""
    return dump_bytes(value).decode()


def dump_line(value: Any) -> str:
    """Return JSON text for a line of a stream: also where a reader takes Unicode's other line ends for ends.

    Readers such as httpx's split at them; inside JSON they stand in strings only, where an escape
    says the same.
    """
    text = dumps(value)
    for end, escape in _OTHER_LINE_ENDS:
        if end in text:
            text = text.replace(end, escape)
    return text


def dump_bytes(value: Any) -> bytes:
    """Return JSON in UTF-8; see :func:`dumps`."""
    try:
        return json_bytes(value)
    except TypeError:
        return _encode_shown(value).encode()


class PlainResponse(Response):
    """A response whose headers go out as they are; Werkzeug's own copies them all, for the sake of a few."""

    def get_wsgi_headers(self, environ: Any) -> Any:
        """Return the headers to send."""
        sized = False
        for name, _ in self.headers:
            kind = name.lower()
            if kind in ("location", "content-location"):
                return super().get_wsgi_headers(environ)
            sized = sized or kind == "content-length"
        status = self.status_code
        if not sized or status < 200 or status in (204, 304):
            return super().get_wsgi_headers(environ)
        return self.headers


def json_response(value: Any, status: int = 200) -> Response:
    """Return a response with a JSON body. The host's JSON provider is not used."""
    return PlainResponse(dump_bytes(value), status=status, content_type=JSON)


def read_json(request: Request, *, limit: int, strict_type: bool = False, empty: Any = None) -> Any:
    """Return the JSON of a body, ``empty`` for one without a character.

    ``text/plain`` and a missing content type are read as JSON too, as the reference server does,
    unless ``strict_type`` asks for ``application/json`` (where no key is wanted, so that a page of
    another site cannot send it).

    :param limit: bytes at most.
    :raises BodyTooLarge: over the limit.
    :raises UnsupportedBody: for another content type.
    :raises BadRequest: for bytes that are not UTF-8.
    :raises RequestInvalid: for broken JSON, with its place.
    """
    kind = request.environ.get("CONTENT_TYPE", "")
    kind = kind if kind == JSON else request.mimetype
    is_json = kind == JSON or kind.endswith("+json") or (kind in _TEXTUAL and not strict_type)
    data = read_bytes(request, limit)
    if not (data.strip() if is_json else data):
        return empty
    if not is_json:
        raise UnsupportedBody(f"The content type must be application/json, not {kind or 'missing'}.")
    return parse_json_bytes(data)


def read_bytes(request: Request, limit: int) -> bytes:
    """Return the body.

    One that is packed by gzip is unpacked; the limit is that of what comes out, too.

    :raises BodyTooLarge: over the limit, also where no length was announced.
    :raises UnsupportedBody: for another encoding.
    :raises BadRequest: for one that cannot be unpacked.
    """
    announced = request.environ.get("CONTENT_LENGTH", "")
    if announced.isdecimal() and int(announced) > limit:
        raise BodyTooLarge(f"The request body has {announced} bytes; at most {limit} are allowed.")
    request.max_content_length = limit
    data = request.get_data(cache=True)
    encoding = request.environ.get("HTTP_CONTENT_ENCODING")
    return data if encoding is None else _unpacked(data, encoding, limit)


def refuse_packed(request: Request) -> None:
    """Refuse a compressed form: its parts are read as they arrive.

    :raises UnsupportedBody: if it is.
    """
    encoding = request.environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding not in _PLAIN:
        raise UnsupportedBody(
            f"Forms with files must not be compressed; this one has Content-Encoding: {encoding[:40]}."
        )


def _unpacked(data: bytes, encoding: str, limit: int) -> bytes:
    word = encoding.strip().lower()
    if word in _PLAIN:
        return data
    if word not in ("gzip", "x-gzip"):
        raise UnsupportedBody(f"Content-Encoding {word[:40]} is not supported; use gzip, or none.")
    parts: list[bytes] = []
    left, rest = limit, data
    try:
        # A body may consist of several packed ones, one behind the other.
        while rest and len(parts) < _MOST_PACKED:
            unpack = zlib.decompressobj(wbits=31)
            parts.append(unpack.decompress(rest, left + 1))
            left -= len(parts[-1])
            if left < 0:
                raise BodyTooLarge(f"The body has more than {limit} bytes after decompression, the limit.")
            if not unpack.eof:
                raise BadRequest("The gzip body is truncated.")
            rest = unpack.unused_data
    except zlib.error:
        raise BadRequest("The body is not valid gzip, although Content-Encoding says gzip.") from None
    if rest:
        raise BadRequest(f"The gzip body has more than {_MOST_PACKED} members.")
    return b"".join(parts)


def parse_json_bytes(data: bytes) -> Any:
    """Return the JSON in bytes.

    :raises BadRequest: for bytes that are not UTF-8.
    :raises RequestInvalid: for broken JSON, JSON that nests too deeply, or text that is not Unicode.
    """
    try:
        text = data.removeprefix(BOM_UTF8).decode()
    except UnicodeDecodeError:
        raise BadRequest("There was an error parsing the body") from None
    try:
        value = _decode(text)
    except json.JSONDecodeError as error:
        entry = {"type": "json_invalid", "loc": ["body", error.pos], "msg": "JSON decode error"}
        message = f"The body is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        raise RequestInvalid(message, [{**entry, "ctx": {"error": error.msg}}]) from None
    except (ValueError, RecursionError):
        raise _unreadable("it is nested too deeply, or a number in it is NaN, infinite or too long") from None
    # Only a body with so many brackets can nest so deep, and few have them.
    if data.count(b"[") + data.count(b"{") > MOST_DEEP and is_too_deep(value):
        raise _unreadable(f"it is nested more than {MOST_DEEP} levels deep")
    if "\\u" in text:
        _refuse_surrogates(value)
    return value


def _unreadable(reason: str) -> RequestInvalid:
    message = f"The JSON of the body is not accepted: {reason}."
    return RequestInvalid(message, [{"type": "json_invalid", "loc": ["body"], "msg": message}])


#: Made once: ``json.loads`` would make a decoder for each body.
_decode: Final = json.JSONDecoder(parse_constant=refuse_constant, parse_float=finite_number).decode


def _refuse_surrogates(value: Any) -> None:
    """Refuse text with half a surrogate pair: it is not Unicode, and no store could keep it."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        message = "The body contains an unpaired surrogate, which is not valid Unicode."
        raise RequestInvalid(message, [{"type": "string_unicode", "loc": ["body"], "msg": message}]) from None


def read_object(request: Request, *, limit: int, strict_type: bool = False) -> Mapping[str, Any]:
    """Return the JSON object of a body, an empty one for an empty body.

    :raises RequestInvalid: if it is not an object; else as :func:`read_json`.
    """
    value = read_json(request, limit=limit, strict_type=strict_type, empty=_EMPTY)
    if type(value) is not dict and not isinstance(value, Mapping):
        message = "Input should be a valid dictionary or object"
        raise RequestInvalid(
            "The body must be a JSON object.", [{"type": "dict_type", "loc": ["body"], "msg": message}]
        )
    return value
