"""Connections to OpenAI-compatible servers: kept for reuse, one call at a time each, breakable at any moment."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from .failures import ModelNotInstalled

_MOST_IDLE: Final = 32
_IDLE_SECONDS: Final = 60.0
#: What a server that a request named is sent; the SDK adds headers out of this server's environment.
_HARMLESS: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "transfer-encoding",
        "user-agent",
        "x-stainless-raw-response",
    }
)


class Connection:
    """An SDK client that one call at a time uses; :meth:`abort` ends what it waits for."""

    def __init__(self, base_url: str, key: str, verify: Any, addresses: Mapping[str, str] | None) -> None:
        import openai

        self._wires = _Wires(addresses, key)
        http = openai.DefaultHttpxClient(
            verify=verify, follow_redirects=False, trust_env=addresses is None and not _is_here(base_url),
            event_hooks={"request": [self._wires.prepare]},
        )  # fmt: skip
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

    def __init__(self, addresses: Mapping[str, str] | None, key: str) -> None:
        self.broken = False
        self._key = key
        self._open: list[Any] = []
        self._addresses = addresses

    def cut(self) -> None:
        self.broken = True
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def prepare(self, request: Any) -> None:
        """Have the sockets of a request noted, and send it to the checked address."""
        request.extensions["trace"] = self._trace
        if self._addresses is not None:
            host = request.url.host
            for name in [name for name in request.headers if name.lower() not in _HARMLESS]:
                del request.headers[name]
            request.headers["Authorization"] = f"Bearer {self._key}"
            request.extensions["sni_hostname"] = host
            request.headers["Host"] = request.url.netloc.decode("ascii")
            request.url = request.url.copy_with(host=self._addresses[host])

    def _trace(self, name: str, info: Mapping[str, Any]) -> None:
        if name.endswith(("connect_tcp.complete", "start_tls.complete")):
            opened = info["return_value"].get_extra_info("socket")
            if name.endswith("connect_tcp.complete"):
                self._open.clear()
            self._open.append(opened)
            if self.broken:
                self.cut()


class Connections:
    """Idle connections by server and key; at most 32 are kept, for a minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, str], list[Connection]] = {}
        self._verify: Any = None

    @contextlib.contextmanager
    def use(self, base_url: str, key: str, *, addresses: Mapping[str, str] | None = None) -> Iterator[Connection]:
        """Hand out a connection for one call.

        :param addresses: where a host name must be reached, for a server that a request named.
        :raises ModelNotInstalled: if the SDK is missing.
        """
        connection = self._take(base_url, key) if addresses is None else None
        if connection is None:
            connection = self._open(base_url, key, addresses)
        whole = False
        try:
            yield connection
            whole = True
        finally:
            if whole and not connection.broken and addresses is None:
                self._give_back(base_url, key, connection)
            else:
                connection.close()

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def _open(self, base_url: str, key: str, addresses: Mapping[str, str] | None) -> Connection:
        try:
            import openai  # noqa: F401
        except ImportError:
            raise ModelNotInstalled(
                "no client for model providers is installed: pip install 'flask-flowrunner[openai]'"
            ) from None
        if self._verify is None:
            self._verify = _certificates()
        return Connection(base_url, key or "none", self._verify, addresses)

    def _take(self, base_url: str, key: str) -> Connection | None:
        now, stale = time.monotonic(), []
        with self._lock:
            waiting = self._idle.get((base_url, key), [])
            found = waiting.pop() if waiting else None
            for connections in self._idle.values():
                while connections and now - connections[0].idle_since > _IDLE_SECONDS:
                    stale.append(connections.pop(0))
        for connection in stale:
            connection.close()
        return found

    def _give_back(self, base_url: str, key: str, connection: Connection) -> None:
        connection.idle_since = time.monotonic()
        with self._lock:
            if sum(map(len, self._idle.values())) < _MOST_IDLE:
                self._idle.setdefault((base_url, key), []).append(connection)
                return
        connection.close()


def _is_here(base_url: str) -> bool:
    """Say whether a server is on this machine: no proxy of the environment reaches that."""
    host = (urlsplit(base_url).hostname or "").rstrip(".")
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return found.is_loopback or found.is_unspecified


def _certificates() -> Any:
    """Return one TLS context for all connections: loading certificates takes longer than a call on the loopback."""
    import os
    import ssl

    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        return ssl.create_default_context()
    try:
        import certifi
    except ImportError:
        return ssl.create_default_context()
    return ssl.create_default_context(cafile=certifi.where())
