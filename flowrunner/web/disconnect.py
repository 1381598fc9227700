"""Detect clients that have closed their connection, even while nothing is written to them."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any


class Presence:
    """Checks whether the client of the current request is still connected."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._socket = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")

    def is_over(self) -> bool:
        """Return whether the client closed the connection; False if that cannot be detected (TLS, another server)."""
        if self._socket is None:
            return False
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"")
        except (BlockingIOError, InterruptedError):
            return False
        except ValueError:
            self._socket = None
            return False
        except OSError:
            return True
