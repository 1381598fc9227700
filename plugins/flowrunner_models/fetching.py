"""Fetching over HTTP for components: public addresses only, bounded in size and time."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from flowrunner import CancelToken, checked_address

from .fields import read_pairs

_MOST_REDIRECTS: Final = 5
_PIECE: Final = 65536
#: Headers that a flow may not set: they decide where a request goes or where it ends.
_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})


class FetchFailed(ValueError):
    """A page cannot be fetched; the text says why in one sentence."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a server answered. ``url`` is the last one, after redirects; ``headers`` have lower-case names."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        """The media type, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """The body as text, in the charset that the server names, else UTF-8."""
        _, _, rest = self.headers.get("content-type", "").lower().partition("charset=")
        charset = rest.partition(";")[0].strip(" \"'") or "utf-8"
        try:
            return self.body.decode(charset, "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be fetched: bytes, seconds in all, and hosts that may be private."""

    size: int = 10 * 1024 * 1024
    seconds: float = 30.0
    allowed: tuple[str, ...] = ()


def fetch(
    url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None,
    limits: Limits, redirects: bool = True, cancelled: CancelToken | None = None,
) -> Fetched:  # fmt: skip
    """Fetch one address.

    The address of the host is checked after DNS, at each redirect anew, and the connection goes
    to the checked address and to no other.

    :raises FetchFailed: if it cannot be fetched, is too large or takes too long.
    :raises AddressRefused: if a host is private.
    """
    deadline = time.monotonic() + limits.seconds
    cancelled = cancelled or CancelToken()
    for _ in range(_MOST_REDIRECTS + 1):
        answer = _once(url, method, headers or {}, body, limits, deadline, cancelled)
        place = answer.headers.get("location")
        if not (redirects and place and answer.status in (301, 302, 303, 307, 308)):
            return answer
        target = urljoin(url, place)
        if urlsplit(target).netloc != urlsplit(url).netloc:
            secret = ("authorization", "cookie", "x-api-key")
            headers = {k: v for k, v in (headers or {}).items() if k.lower() not in secret}
        if answer.status in (301, 302, 303) and method not in ("GET", "HEAD"):
            method, body = "GET", None
        url = target
    raise FetchFailed(f"{_host(url)} redirects more than {_MOST_REDIRECTS} times")


def _once(
    url: str, method: str, headers: Mapping[str, str], body: bytes | None, limits: Limits, deadline: float,
    cancelled: CancelToken,
) -> Fetched:  # fmt: skip
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FetchFailed("only http and https addresses are fetched")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise FetchFailed("the address has a port that is none") from None
    address = checked_address(parts.hostname, limits.allowed)
    connection = _connect(parts.scheme, parts.hostname, port, address, _left(deadline))
    forget = cancelled.call_when_set(lambda: _break(connection))
    try:
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        target = path + (f"?{quote(parts.query, safe='/?%:@!$&()*+,;=~-._[]')}" if parts.query else "")
        sent = {"User-Agent": "flowrunner", "Accept-Encoding": "gzip", **_clean(headers)}
        connection.request(method, target, body=body, headers={**sent, "Host": parts.netloc.rpartition("@")[2]})
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        data = _read(connection, response, found, limits, deadline, cancelled)
        return Fetched(url, response.status, found, data)
    except TimeoutError:
        raise FetchFailed(f"{parts.hostname} did not answer within {limits.seconds:g} seconds") from None
    except (OSError, http.client.HTTPException) as error:
        cancelled.raise_if_set()
        raise FetchFailed(f"{parts.hostname} cannot be fetched: {type(error).__name__}") from error
    finally:
        forget()
        connection.close()


def _connect(scheme: str, host: str, port: int, address: str, seconds: float) -> _Pinned | _PinnedTls:
    """Return a connection to a checked address that still asks for, and proves, the name."""
    if scheme == "http":
        return _Pinned(address, host, port, seconds)
    return _PinnedTls(address, host, port, seconds)


class _Pinned(http.client.HTTPConnection):
    def __init__(self, address: str, host: str, port: int, seconds: float) -> None:
        super().__init__(host, port, timeout=seconds)
        self._address = address
        self.wire: socket.socket | None = None

    def connect(self) -> None:
        self.sock = self.wire = socket.create_connection((self._address, self.port), self.timeout)


class _PinnedTls(http.client.HTTPSConnection):
    def __init__(self, address: str, host: str, port: int, seconds: float) -> None:
        self._trust = ssl.create_default_context()
        super().__init__(host, port, timeout=seconds, context=self._trust)
        self._address = address
        self.wire: socket.socket | None = None

    def connect(self) -> None:
        self.wire = plain = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = self.wire = self._trust.wrap_socket(plain, server_hostname=self.host)


def _read(
    connection: _Pinned | _PinnedTls, response: http.client.HTTPResponse, headers: Mapping[str, str],
    limits: Limits, deadline: float, cancelled: CancelToken,
) -> bytes:  # fmt: skip
    unpack = zlib.decompressobj(47) if headers.get("content-encoding", "").lower() in ("gzip", "deflate") else None
    body = bytearray()
    while True:
        if connection.wire is not None and connection.wire.fileno() >= 0:
            connection.wire.settimeout(_left(deadline))
        piece = response.read1(_PIECE)
        cancelled.raise_if_set()
        if not piece:
            return bytes(body)
        body += unpack.decompress(piece, limits.size + 1 - len(body)) if unpack is not None else piece
        if len(body) > limits.size:
            raise FetchFailed(f"the answer is larger than {limits.size} bytes")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _break(connection: _Pinned | _PinnedTls) -> None:
    """End what waits for a connection. The response may have taken its socket over, so that is kept apart."""
    if connection.wire is not None:
        with contextlib.suppress(OSError):
            connection.wire.shutdown(socket.SHUT_RDWR)


def _clean(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers that may be sent; one with a line break in it could forge others.

    :raises FetchFailed: for such a one.
    """
    found = {}
    for name, value in headers.items():
        if any(c in f"{name}{value}" for c in "\r\n\0") or not name.isascii():
            raise FetchFailed("a header has a line break or another character that headers cannot have")
        if name and name.lower() not in _OURS:
            found[name] = str(value).encode("latin-1", "replace").decode("latin-1")
    return found


def read_headers(value: object) -> dict[str, str]:
    """Return headers out of a table of ``key`` and ``value`` or an object; blank ones are left out."""
    return {name: str(given) for name, given in read_pairs(value).items()}


def _host(url: str) -> str:
    return urlsplit(url).hostname or "the server"
