"""A threaded gunicorn worker that answers health checks even when all threads are busy."""

from __future__ import annotations

import re
import selectors
import socket
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from gunicorn.workers.gthread import ThreadWorker

#: The number of threads reserved for health checks.
_THREADS: Final = 2
_FIRST_LINE: Final = re.compile(rb"(?:GET|HEAD) (?:[^ ?\r\n]*/)?(?:health|health_check|ready)(?:\?[^ \r\n]*)? HTTP/")
_LOOKED_AT: Final = 512


class Worker(ThreadWorker):
    """Answers ``/health``, ``/health_check`` and ``/ready`` on reserved threads while all others are busy.

    Each stream occupies a thread as long as it lasts. A health check that waited behind them would time out, and the
    supervisor would kill a healthy worker.
    """

    def init_process(self) -> None:
        """Create the threads for health checks, and start as usual."""
        self._taken = 0
        self._health = ThreadPoolExecutor(_THREADS, thread_name_prefix="flowrunner-health")
        super().init_process()

    def enqueue_req(self, conn: Any) -> None:
        """Pass a connection to a thread; if none is free, check first whether it is a health check."""
        if self._taken < self.cfg.threads:
            self._submit(self.tpool, conn)
            return
        head = _peek(conn.sock)
        if head is None and not conn.data_ready:
            self._wait_for_data(conn)
        elif head is not None and _FIRST_LINE.match(head):
            self._submit(self._health, conn)
        else:
            self._submit(self.tpool, conn)

    def handle_quit(self, sig: Any, frame: Any) -> None:
        """Stop immediately."""
        self._health.shutdown(wait=False)
        super().handle_quit(sig, frame)

    def _submit(self, pool: Any, conn: Any) -> None:
        usual = pool is self.tpool
        self._taken += usual
        pool.submit(self.handle, conn).add_done_callback(
            lambda done: self.method_queue.defer(self._finish, conn, done, usual)
        )

    def _finish(self, conn: Any, done: Future[Any], usual: bool) -> None:
        # On the worker's own thread, like all bookkeeping.
        self._taken -= usual
        self.finish_request(conn, done)

    def _wait_for_data(self, conn: Any) -> None:
        """Check the connection again when data has arrived, as gunicorn does with slow clients."""
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))


def _peek(sock: socket.socket) -> bytes | None:
    """Return the beginning of the received data without consuming it; None if there is none."""
    try:
        return sock.recv(_LOOKED_AT, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except (OSError, ValueError):
        # No data yet, or a TLS connection: it waits like all others.
        return None
