"""Connections to a verified address, closed at a deadline or by another thread."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator

from flowrunner import CancelToken


class Deadline:
    """A moment at which waiting ends."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left.

        :raises TimeoutError: if there are none.
        """
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


@contextlib.contextmanager
def connected(
    scheme: str, host: str, port: int, address: str, deadline: Deadline, cancelled: CancelToken
) -> Iterator[PinnedHttp | PinnedHttps]:
    """Connect to a checked address, still asking for, and proving, the name; close it at the end.

    A timeout of the socket is one for each read, which a server that sends a byte now and then never
    meets: so the connection is broken at the deadline, and when the run is cancelled.

    :raises TimeoutError: if the deadline passes within, whatever error the break led to.
    :raises RunCancelled: if the run was cancelled.
    """
    made = (PinnedHttp if scheme == "http" else PinnedHttps)(address, host, port, deadline.left())
    timer = threading.Timer(deadline.left(), made.cut)
    timer.daemon = True
    timer.start()
    forget = cancelled.call_when_set(made.cut)
    try:
        made.connect()
        cancelled.raise_if_set()
        deadline.left()
        yield made
        made.check_whole(cancelled)
    except Exception:
        made.check_whole(cancelled)
        raise
    finally:
        forget()
        timer.cancel()
        made.close()


class _Pinned(http.client.HTTPConnection):
    """What both kinds share. The response may take the socket over, so that it is kept apart."""

    wire: socket.socket | None = None
    is_cut = False

    def cut(self) -> None:
        """End what waits for the connection, from another thread."""
        self.is_cut = True
        if self.wire is not None:
            with contextlib.suppress(OSError):
                self.wire.shutdown(socket.SHUT_RDWR)

    def check_whole(self, cancelled: CancelToken) -> None:
        """Refuse what a connection gave that was broken meanwhile: its end is no end of an answer.

        :raises TimeoutError: if it was broken at the deadline.
        :raises RunCancelled: if it was cancelled.
        """
        cancelled.raise_if_set()
        if self.is_cut:
            raise TimeoutError

    def wait_at_most(self, seconds: float) -> None:
        """Bound the next read."""
        if self.wire is not None and self.wire.fileno() >= 0:
            self.wire.settimeout(seconds)


class PinnedHttp(_Pinned):
    """A plain connection."""

    def __init__(self, address: str, host: str, port: int, seconds: float) -> None:
        super().__init__(host, port, timeout=seconds)
        self._address = address

    def connect(self) -> None:
        """Connect to the address."""
        self.sock = self.wire = socket.create_connection((self._address, self.port), self.timeout)


class PinnedHttps(_Pinned, http.client.HTTPSConnection):
    """One with TLS."""

    def __init__(self, address: str, host: str, port: int, seconds: float) -> None:
        self._trust = ssl.create_default_context()
        http.client.HTTPSConnection.__init__(self, host, port, timeout=seconds, context=self._trust)
        self._address = address

    def connect(self) -> None:
        """Connect to the address and have the name proved."""
        self.wire = plain = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = self.wire = self._trust.wrap_socket(plain, server_hostname=self.host)
