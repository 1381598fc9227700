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
#: The value of an empty body: all members have their defaults.
_EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


def dumps(value: Any) -> str:
    """Return compact JSON; values that are not JSON are written as text."""
    return dump_bytes(value).decode()


def dump_line(value: Any) -> str:
    """Return JSON text for one line of a stream, with Unicode's other line separators escaped.

    Readers such as httpx split lines at them; in JSON they occur only in strings, where an escape is equivalent.
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
    """A response that sends its headers unchanged; Werkzeug's own copies all of them to adjust a few."""

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
    """Return the JSON of a body, or ``empty`` for an empty body.

    ``text/plain`` and a missing content type are read as JSON too, as on the reference server, unless ``strict_type``
    requires ``application/json`` (without API keys, so that pages of other sites cannot send it).

    :param limit: the maximum size in bytes.
    :raises BodyTooLarge: if the body is larger.
    :raises UnsupportedBody: for another content type.
    :raises BadRequest: if the body is not UTF-8.
    :raises RequestInvalid: for invalid JSON, with the position.
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
    """Return the body, decompressed if it is gzip.

    :raises BodyTooLarge: if the body exceeds the limit, before or after decompression.
    :raises UnsupportedBody: for another content encoding.
    :raises BadRequest: if it cannot be decompressed.
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
        # A gzip body may consist of several members.
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
    """Parse JSON in bytes.

    :raises BadRequest: if they are not UTF-8.
    :raises RequestInvalid: for invalid JSON, JSON nested too deeply, or unpaired surrogates.
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
    # Only a body with this many brackets can be nested too deeply, and few have them.
    if data.count(b"[") + data.count(b"{") > MOST_DEEP and is_too_deep(value):
        raise _unreadable(f"it is nested more than {MOST_DEEP} levels deep")
    if "\\u" in text:
        _refuse_surrogates(value)
    return value


def _unreadable(reason: str) -> RequestInvalid:
    message = f"The JSON of the body is not accepted: {reason}."
    return RequestInvalid(message, [{"type": "json_invalid", "loc": ["body"], "msg": message}])


#: Created once: ``json.loads`` would create a decoder for each body.
_decode: Final = json.JSONDecoder(parse_constant=refuse_constant, parse_float=finite_number).decode


def _refuse_surrogates(value: Any) -> None:
    """Refuse unpaired surrogates, which are not valid Unicode and cannot be stored."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        message = "The body contains an unpaired surrogate, which is not valid Unicode."
        raise RequestInvalid(message, [{"type": "string_unicode", "loc": ["body"], "msg": message}]) from None


def read_object(request: Request, *, limit: int, strict_type: bool = False) -> Mapping[str, Any]:
    """Return the JSON object in a body; an empty one for an empty body.

    :raises RequestInvalid: if it is not an object; else as :func:`read_json`.
    """
    value = read_json(request, limit=limit, strict_type=strict_type, empty=_EMPTY)
    if type(value) is not dict and not isinstance(value, Mapping):
        message = "Input should be a valid dictionary or object"
        raise RequestInvalid(
            "The body must be a JSON object.", [{"type": "dict_type", "loc": ["body"], "msg": message}]
        )
    return value
