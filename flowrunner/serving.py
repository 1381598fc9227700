"""Settings for gunicorn: ``gunicorn -c python:flowrunner.serving wsgi:app``.

Threads, because a stream holds one for its whole length: with 64, 200 streams starved the health
check for seconds; with 128 it answered in milliseconds. How many flows run at a time is bounded
beside it (FLOWRUNNER_MAX_RUNS).
"""

from __future__ import annotations

import os
from typing import Any

bind = os.environ.get("FLOWRUNNER_BIND", "127.0.0.1:7860")
workers = int(os.environ.get("FLOWRUNNER_WORKERS", os.environ.get("WEB_CONCURRENCY", "2")))
worker_class = "gthread"
threads = int(os.environ.get("FLOWRUNNER_THREADS", "128"))
timeout = 120
graceful_timeout = 30
keepalive = 5
max_requests = 0
limit_request_line = 8190


def post_worker_init(worker: Any) -> None:
    """Let every worker know how many there are."""
    os.environ["FLOWRUNNER_WORKERS"] = str(worker.cfg.workers)
