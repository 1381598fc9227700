"""HTTP requests of components: public addresses only, with limits on size and time."""

from __future__ import annotations

import base64
import http.client
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit, urlunsplit

from flowrunner import CancelToken, Destination, checked_address, telling_headers

from .fields import read_pairs
from .pinned import Deadline, PinnedHttp, PinnedHttps, connected

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
        except (LookupError, ValueError):
            return self.body.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be fetched: bytes, and seconds in all."""

    size: int = 10 * 1024 * 1024
    seconds: float = 30.0


def fetch(
    to: Destination,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    limits: Limits,
    redirects: bool = True,
    cancelled: CancelToken | None = None,
) -> Fetched:
    """Fetch one address.

    The address of the host is checked after DNS, at each redirect again, and the connection goes
    to the checked address and to no other. A redirect to another server is that server's word: it
    gets no header that could hold a secret and no body, and must be public unless the settings allow
    it. A user and a password in the address become the header that they stand for.

    :raises FetchFailed: if it cannot be fetched, is too large or takes too long.
    :raises AddressRefused: if a host is private.
    """
    deadline = Deadline(limits.seconds)
    cancelled = CancelToken() if cancelled is None else cancelled
    url, sent = _apart(to.url, _clean(headers or {}))
    first, private = _server(url), to.private_hosts
    for _ in range(_MOST_REDIRECTS + 1):
        answer = _once(url, method, sent, body, private, limits, deadline, cancelled)
        place = answer.headers.get("location")
        if not (redirects and place and answer.status in (301, 302, 303, 307, 308)):
            return answer
        target, _user = _apart(_joined(url, place), {})
        if answer.status in (301, 302, 303) and method not in ("GET", "HEAD"):
            method, body = "GET", None
        if _server(target) != _server(url):
            if body is not None:
                raise FetchFailed(f"{_host(url)} redirects to another server; the body is not sent there")
            told = telling_headers(sent)
            sent = {name: value for name, value in sent.items() if name not in told}
        private = to.private_hosts if _server(target) == first else to.allowed
        url = target
    raise FetchFailed(f"{_host(url)} redirects more than {_MOST_REDIRECTS} times")


def _once(
    url: str,
    method: str,
    headers: Mapping[str, str],
    body: bytes | None,
    private: tuple[str, ...],
    limits: Limits,
    deadline: Deadline,
    cancelled: CancelToken,
) -> Fetched:
    parts, (scheme, host, port) = _parts(url), _server(url)
    address = checked_address(host, private)
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    target = path + (f"?{quote(parts.query, safe='/?%:@!$&()*+,;=~-._[]')}" if parts.query else "")
    try:
        sent = {"User-Agent": "flowrunner", "Accept-Encoding": "gzip", **headers, "Host": _named(parts)}
        with connected(scheme, host, port, address, deadline, cancelled) as connection:
            connection.request(method, target, body=body, headers=sent)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            data = _read(connection, response, found, limits, deadline, cancelled)
        return Fetched(url, response.status, found, data)
    except FetchFailed:
        raise
    except TimeoutError:
        raise FetchFailed(f"{host} did not answer within {limits.seconds:g} seconds") from None
    except (OSError, http.client.HTTPException, zlib.error, ValueError) as error:
        raise FetchFailed(f"{host} cannot be fetched: {type(error).__name__}") from error


def _parts(url: str) -> SplitResult:
    """Take an address apart.

    :raises FetchFailed: if it is none, or neither http nor https.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname:
            return parts
    except ValueError:
        raise FetchFailed("the address is not valid") from None
    raise FetchFailed("only http and https addresses are fetched")


def _server(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port: what is the same for two addresses of one server."""
    parts = _parts(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise FetchFailed("the address has an invalid port") from None
    return parts.scheme, parts.hostname or "", port


def _apart(url: str, headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return an address without its user and password, and headers with them: addresses are shown and handed on."""
    parts, found = _parts(url), dict(headers)
    user, at, host = parts.netloc.rpartition("@")
    if at and not any(name.lower() == "authorization" for name in found):
        name, _, password = user.partition(":")
        found["Authorization"] = basic(unquote(name), unquote(password))
    return urlunsplit(parts._replace(netloc=host)), found


def basic(user: str, password: str) -> str:
    """Return the header of HTTP's basic authentication."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def _joined(url: str, place: str) -> str:
    try:
        return urljoin(url, place)
    except ValueError:
        raise FetchFailed(f"{_host(url)} redirects to an address that cannot be read") from None


def _named(parts: SplitResult) -> str:
    """Return what the Host header says: a name in other letters as DNS has it."""
    if parts.netloc.isascii():
        return parts.netloc
    port = f":{parts.port}" if parts.port else ""
    return (parts.hostname or "").encode("idna").decode("ascii") + port


def _read(
    connection: PinnedHttp | PinnedHttps,
    response: http.client.HTTPResponse,
    headers: Mapping[str, str],
    limits: Limits,
    deadline: Deadline,
    cancelled: CancelToken,
) -> bytes:
    unpack = zlib.decompressobj(47) if headers.get("content-encoding", "").lower() in ("gzip", "deflate") else None
    body, came = bytearray(), False
    while True:
        connection.wait_at_most(deadline.left())
        piece = response.read1(_PIECE)
        cancelled.raise_if_set()
        if not piece:
            break
        came = True
        body += unpack.decompress(piece, limits.size + 1 - len(body)) if unpack is not None else piece
        if len(body) > limits.size:
            raise FetchFailed(f"the answer is larger than {limits.size} bytes")
    if response.length or (unpack is not None and came and not unpack.eof):
        raise FetchFailed(f"the answer of {connection.host} was cut off")
    return bytes(body)


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
