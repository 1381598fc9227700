"""Parse curl commands into requests; unsupported options are refused, never ignored."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote_plus

from .fetching import basic

#: The long names of options, by the short ones.
_LONG: Final = {
    "X": "request",
    "H": "header",
    "d": "data",
    "G": "get",
    "I": "head",
    "u": "user",
    "b": "cookie",
    "A": "user-agent",
    "e": "referer",
    "L": "location",
    "s": "silent",
    "S": "show-error",
    "k": "insecure",
    "i": "include",
    "v": "verbose",
    "f": "fail",
    "N": "no-buffer",
    "g": "globoff",
    "o": "output",
    "w": "write-out",
    "m": "max-time",
    "0": "http1.0",
}
_DATA: Final = frozenset({"data", "data-raw", "data-ascii", "data-binary", "data-urlencode", "json"})
_WITH_VALUE: Final = frozenset({"request", "header", "user", "cookie", "user-agent", "referer", "url", *_DATA})
_BARE: Final = frozenset({"get", "head", "location"})
#: Options that mean nothing here: how curl shows the answer, how long it tries, which HTTP it speaks. A
#: certificate is proved whatever ``insecure`` says.
_NEEDLESS: Final = frozenset(
    {
        "silent",
        "show-error",
        "insecure",
        "include",
        "verbose",
        "fail",
        "no-buffer",
        "globoff",
        "compressed",
        "http1.0",
        "http1.1",
        "http2",
        "no-progress-meter",
        "fail-with-body",
    }
)
_NEEDLESS_WITH_VALUE: Final = frozenset(
    {"output", "write-out", "max-time", "connect-timeout", "retry", "retry-delay", "max-redirs"}
)
_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(slots=True)
class CurlRequest:
    """What a curl command sends."""

    url: str = ""
    method: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    redirects: bool = False


def read_curl(command: str) -> CurlRequest:
    """Return the request of a curl command.

    :raises ValueError: if it cannot be read, or has something in it that is not supported.
    """
    try:
        words = shlex.split(command.replace("\\\n", " "))
    except ValueError:
        raise ValueError("the curl command cannot be parsed") from None
    found, data, as_query = CurlRequest(), list[str](), False
    for name, value in _options(words[1:] if words[:1] == ["curl"] else words):
        if name == "url":
            if found.url:
                raise ValueError("the curl command has more than one address")
            found.url = value
        elif name in _DATA:
            data.append(_data(name, value))
            if name == "json":
                _default(found, {"Content-Type": "application/json", "Accept": "application/json"})
        elif name == "get":
            as_query = True
        elif name == "location":
            found.redirects = True
        elif name == "request":
            found.method = value.upper()
        elif name == "head":
            found.method = found.method or "HEAD"
        elif name not in _NEEDLESS and name not in _NEEDLESS_WITH_VALUE:
            _head(found, name, value)
    return _with_data(found, "&".join(data), as_query=as_query)


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Return the options of a command by their long names, with their values; an address as ``url``."""
    rest = iter(words)
    for word in rest:
        if word.startswith("--") and len(word) > 2:
            name, given, value = word[2:].partition("=")
            yield name, value if given else _value(name, word, rest)
        elif word.startswith("-") and len(word) > 1:
            yield from _short(word, rest)
        else:
            yield "url", word


def _short(word: str, rest: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Return short options, which may stand together; the value of the last may follow at once."""
    for at, letter in enumerate(word[1:], 2):
        name = _LONG.get(letter, "")
        if name in _WITH_VALUE or name in _NEEDLESS_WITH_VALUE:
            yield name, word[at:] or _value(name, word, rest)
            return
        yield name, _value(name, f"-{letter}", rest)


def _value(name: str, word: str, rest: Iterator[str]) -> str:
    if name in _BARE or name in _NEEDLESS:
        return ""
    if name not in _WITH_VALUE and name not in _NEEDLESS_WITH_VALUE:
        raise ValueError(f"the curl option {word[:40]} is not supported")
    value = next(rest, None)
    if value is None:
        raise ValueError(f"the curl option {word[:40]} has no value")
    return value


def _data(name: str, value: str) -> str:
    """Return a piece of the body, encoded where the option says so."""
    head, equals, content = value.partition("=") if name == "data-urlencode" else ("", "", value)
    if name != "data-raw" and (value.startswith("@") or (name == "data-urlencode" and "@" in head)):
        raise ValueError("a curl command cannot send a file from the server")
    if name != "data-urlencode":
        return content
    return (f"{head}=" if head else "") + quote_plus(content) if equals else quote_plus(value)


def _head(found: CurlRequest, name: str, value: str) -> None:
    """Put a header in, or what stands for one."""
    if name == "header":
        title, _, content = value.partition(":")
        found.headers[title.strip()] = content.strip()
    elif name == "user":
        user, _, password = value.partition(":")
        found.headers["Authorization"] = basic(user, password)
    elif name == "cookie":
        if "=" not in value:
            raise ValueError("a curl command cannot send the cookies of a file")
        found.headers["Cookie"] = value
    else:
        found.headers[name.title()] = value


def _default(found: CurlRequest, headers: dict[str, str]) -> None:
    given = {name.lower() for name in found.headers}
    found.headers.update({name: value for name, value in headers.items() if name.lower() not in given})


def _with_data(found: CurlRequest, data: str, *, as_query: bool) -> CurlRequest:
    """Put the data into the body, or into the address."""
    if as_query and data:
        url = found.url.partition("#")[0]
        found.url = f"{url}{'&' if '?' in url else '?'}{data}"
    elif data:
        found.body = data.encode()
        if data[0] not in "{[":
            _default(found, {"Content-Type": _FORM})
    found.method = found.method or ("POST" if found.body else "GET")
    return found
