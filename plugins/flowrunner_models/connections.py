"""Connections to OpenAI-compatible servers: reused, used by one call at a time, and closable at any moment."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import os
import socket
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from flowrunner import after_fork

from .failures import ModelNotInstalled

_MOST_IDLE: Final = 32
_IDLE_SECONDS: Final = 60.0
#: Which headers of the SDK go along that it takes from the environment: none, those of the operator's choice
#: (``OPENAI_CUSTOM_HEADERS``), or all, with those that name an account at OpenAI.
SdkHeaders = Literal["none", "custom", "all"]

_ACCOUNT: Final = frozenset({"openai-organization", "openai-project"})
#: What every server is sent besides its key.
_HARMLESS: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
        "user-agent",
        "x-stainless-raw-response",
    }
)


class Connection:
    """An SDK client that one call at a time uses; :meth:`abort` ends what it waits for."""

    def __init__(
        self, base_url: str, key: str, verify: Any, addresses: Mapping[str, str] | None, sdk_headers: SdkHeaders
    ) -> None:
        import openai

        self._wires = _Wires(addresses, key, sdk_headers)
        http = openai.DefaultHttpxClient(
            verify=verify,
            follow_redirects=False,
            trust_env=addresses is None and not _is_here(base_url),
            event_hooks={"request": [self._wires.prepare]},
        )
        self.client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0, http_client=http)
        self.idle_since = 0.0
        # Whoever forgets a connection leaves no open socket behind.
        self.close = weakref.finalize(self, http.close)

    @property
    def broken(self) -> bool:
        """Whether it was aborted and is of no more use."""
        return self._wires.broken

    def abort(self) -> None:
        """End the present call from another thread, whatever it waits for."""
        self._wires.cut()


class _Wires:
    """The sockets of a connection, and where its host names are reached."""

    def __init__(self, addresses: Mapping[str, str] | None, key: str, sdk_headers: SdkHeaders) -> None:
        self.broken = False
        self._key = key
        self._open: list[Any] = []
        self._addresses = addresses
        self._sdk_headers = sdk_headers

    def cut(self) -> None:
        self.broken = True
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def prepare(self, request: Any) -> None:
        """Have the sockets of a request noted, and send it to the checked address."""
        request.extensions["trace"] = self._trace
        self._leave_out(request.headers)
        if self._addresses is not None:
            host = request.url.host
            request.extensions["sni_hostname"] = host
            request.headers["Host"] = request.url.netloc.decode("ascii")
            request.url = request.url.copy_with(host=self._addresses[host])

    def _leave_out(self, headers: Any) -> None:
        """Take out what the SDK has from this server's environment, as far as it does not go along."""
        if self._sdk_headers == "none":
            for name in [name for name in headers if name.lower() not in _HARMLESS]:
                del headers[name]
            headers["Authorization"] = f"Bearer {self._key}"
        elif self._sdk_headers == "custom":
            for name in [name for name in headers if name.lower() in _ACCOUNT]:
                del headers[name]

    def _trace(self, name: str, info: Mapping[str, Any]) -> None:
        if name.endswith(("connect_tcp.complete", "start_tls.complete")):
            opened = info["return_value"].get_extra_info("socket")
            if name.endswith("connect_tcp.complete"):
                self._open.clear()
            self._open.append(opened)
            if self.broken:
                self.cut()


#: Base URL, key, and which headers go along.
Place = tuple[str, str, SdkHeaders]


class Connections:
    """Idle connections by server, key and headers; at most 32 are kept, for a minute."""

    def __init__(self) -> None:
        self._idle: dict[Place, list[Connection]] = {}
        self._inherited: list[Any] = []
        self._begin()
        after_fork(self._begin)

    def _begin(self) -> None:
        """Begin without connections; in a forked process they are its parent's, and are left open for it."""
        self._inherited.append(self._idle)
        self._lock = threading.Lock()
        self._idle = {}

    @contextlib.contextmanager
    def use(
        self, base_url: str, key: str, *, addresses: Mapping[str, str] | None = None, sdk_headers: SdkHeaders = "none"
    ) -> Iterator[Connection]:
        """Hand out a connection for one call.

        :param addresses: where a host name must be reached, for a server that the operator did not name.
        :param sdk_headers: which headers out of this server's environment go along.
        :raises ModelNotInstalled: if the SDK is missing.
        """
        place: Place = (base_url, key, sdk_headers)
        connection = self._take(place) if addresses is None else None
        if connection is None:
            connection = self._open(place, addresses)
        whole = False
        try:
            yield connection
            whole = True
        finally:
            if whole and not connection.broken and addresses is None:
                self._give_back(place, connection)
            else:
                connection.close()

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def _open(self, place: Place, addresses: Mapping[str, str] | None) -> Connection:
        try:
            import openai  # noqa: F401
        except ImportError:
            raise ModelNotInstalled(
                "no client for model providers is installed: pip install 'flask-flowrunner[openai]'"
            ) from None
        base_url, key, sdk_headers = place
        return Connection(base_url, key or "none", _certificates(), addresses, sdk_headers)

    def _take(self, place: Place) -> Connection | None:
        now, stale = time.monotonic(), []
        with self._lock:
            waiting = self._idle.get(place, [])
            found = waiting.pop() if waiting else None
            for connections in self._idle.values():
                while connections and now - connections[0].idle_since > _IDLE_SECONDS:
                    stale.append(connections.pop(0))
        for connection in stale:
            connection.close()
        return found

    def _give_back(self, place: Place, connection: Connection) -> None:
        connection.idle_since = time.monotonic()
        with self._lock:
            if sum(map(len, self._idle.values())) < _MOST_IDLE:
                self._idle.setdefault(place, []).append(connection)
                return
        connection.close()


def _is_here(base_url: str) -> bool:
    """Return whether a server is on this machine: no proxy of the environment reaches that."""
    host = (urlsplit(base_url).hostname or "").rstrip(".")
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return found.is_loopback or found.is_unspecified


def _certificates() -> Any:
    """Return one TLS context for all connections: loading certificates takes longer than a call on the loopback."""
    return _context(os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", ""))


@functools.lru_cache(maxsize=4)
def _context(file: str, folder: str) -> Any:
    """Return the context for what the environment says; all components of a process share it."""
    import ssl

    if file or folder:
        return ssl.create_default_context()
    try:
        import certifi
    except ImportError:
        return ssl.create_default_context()
    return ssl.create_default_context(cafile=certifi.where())
