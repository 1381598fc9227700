"""Prometheus metrics of all processes of a server (extra ``[metrics]``).

No figure is broken down by owner, flow or session: such labels would tell who does what, and grow
without bound.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path
from typing import Any, Final

from flowrunner.engine.events import RunEvent
from flowrunner.errors import SettingsInvalid

#: Environment variable that makes ``prometheus_client`` keep figures in files; it is read when that is imported.
FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
#: The events that are counted.
COUNTED_EVENTS: Final = frozenset({"run_started", "vertex_finished", "run_finished", "run_failed", "run_cancelled"})

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ENDS: Final = {"run_finished": "success", "run_failed": "error", "run_cancelled": "cancelled"}
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_FILE: Final = re.compile(r".*_(\d+)\.db")


class Metrics:
    """Counts requests, runs and components.

    :param folder: where the processes of a server keep their figures, so that each can show those
        of all; None leaves that to whoever set up ``prometheus_client`` in this process.
    :raises SettingsInvalid: if ``prometheus_client`` is not installed.
    """

    def __init__(self, folder: Path | None) -> None:
        if folder is not None and "prometheus_client" not in sys.modules and FOLDER_VARIABLE not in os.environ:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _forget_earlier_server(folder)
            os.environ[FOLDER_VARIABLE] = str(folder)
        try:
            import prometheus_client as client
        except ImportError as error:
            raise SettingsInvalid(
                "FLOWRUNNER_METRICS needs prometheus_client: pip install flask-flowrunner[metrics]."
            ) from error
        self._client = client
        self._registry = registry = client.CollectorRegistry()
        self._requests = client.Counter(
            "flowrunner_requests", "Requests.", ("endpoint", "method", "status"), registry=registry
        )
        self._request_seconds = client.Histogram(
            "flowrunner_request_seconds",
            "Seconds until a request was answered or its stream started.",
            ("endpoint",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._runs = client.Counter("flowrunner_runs", "Runs that ended.", ("status",), registry=registry)
        self._run_seconds = client.Histogram(
            "flowrunner_run_seconds", "Duration of runs in seconds.", buckets=_SECONDS, registry=registry
        )
        self._running = client.Gauge(
            "flowrunner_runs_running", "Runs in progress.", registry=registry, multiprocess_mode="livesum"
        )
        self._components = client.Counter(
            "flowrunner_components", "Components that ran.", ("type", "status"), registry=registry
        )
        self._component_seconds = client.Histogram(
            "flowrunner_component_seconds",
            "Duration of component runs in seconds.",
            ("type",),
            buckets=_SECONDS,
            registry=registry,
        )

    def observe_request(self, endpoint: str, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        # Anybody may send a method of their own making, and each would be a line for good.
        self._requests.labels(endpoint, method if method in _METHODS else "other", status).inc()
        self._request_seconds.labels(endpoint).observe(seconds)

    def observe(self, event: RunEvent) -> None:
        """Count what an event of a run tells."""
        if event.kind == "vertex_finished":
            result = event.data["result"]
            # Not as the flow writes the type: an author could write it in any number of ways.
            self._components.labels(result.component_type, result.status).inc()
            self._component_seconds.labels(result.component_type).observe(result.duration)
        elif event.kind == "run_started":
            self._running.inc()
        elif event.kind in _ENDS:
            start = event.data["result"].start if event.kind == "run_finished" else event.data["start"]
            self._running.dec()
            self._runs.labels(_ENDS[event.kind]).inc()
            self._run_seconds.observe((event.at - start.started_at).total_seconds())

    def render(self) -> tuple[bytes, str]:
        """Return the figures of all processes as text, and its content type."""
        registry = self._registry
        folder = os.environ.get(FOLDER_VARIABLE)
        if folder is not None:
            from prometheus_client import multiprocess

            _forget_dead_gauges(Path(folder))
            registry = self._client.CollectorRegistry()
            collector: Any = multiprocess.MultiProcessCollector
            collector(registry, path=folder)
        return self._client.generate_latest(registry), self._client.CONTENT_TYPE_LATEST


def _forget_earlier_server(folder: Path) -> None:
    """Remove the figures of processes that are all gone: a server that starts counts from nothing."""
    files = [(path, found) for path in folder.glob("*.db") if (found := _FILE.fullmatch(path.name))]
    if not any(_is_alive(int(found[1])) for _, found in files):
        for path, _ in files:
            path.unlink(missing_ok=True)


def _forget_dead_gauges(folder: Path) -> None:
    """Remove what processes that were killed had running; their counts stay."""
    for path in folder.glob("gauge_live*.db"):
        found = _FILE.fullmatch(path.name)
        if found and not _is_alive(int(found[1])):
            path.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        try:
            os.kill(pid, 0)
        except PermissionError:
            return True
        return True
    return False
