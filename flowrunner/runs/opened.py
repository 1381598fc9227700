"""The open resources of a runner, opened on first use."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from flowrunner.engine.events import Observer
from flowrunner.errors import FlowRunnerError
from flowrunner.memory import Memory
from flowrunner.memory.forks import after_fork
from flowrunner.settings.setting import Settings
from flowrunner.vectors import Vectors

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from flowrunner.flows.library import Library
    from flowrunner.runs.engines import RunEngine
    from flowrunner.runs.rates import Rates
    from flowrunner.store.secretbox import SecretBox
    from flowrunner.store.stores import Stores
    from flowrunner.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Opened:
    """The open resources of a runner: stores, conversations, flows."""

    settings: Settings
    memory: Memory
    library: Library
    stores: Stores
    vectors: Vectors
    engine: Engine
    run_engine: RunEngine | None
    box: SecretBox
    rates: Rates | None
    metrics: Metrics | None
    observers: Sequence[Observer]
    close: Callable[[], None]

    def release(self) -> None:
        """Close all resources."""
        self.memory.close()
        self.vectors.close()
        self.close()


class OpenedOnUse(ABC):
    """A runner that opens its resources on first use of one of them.

    :param opening: opens the resources; called once by :meth:`open`, and by :meth:`check` for a test.
    """

    #: Attributes whose first use opens the runner.
    opened_by: ClassVar[frozenset[str]]

    def __init__(self, opening: Callable[[], Opened]) -> None:
        self._opening = opening
        self._opened: Opened | None = None
        self._closed = False
        self._start_in_child()
        after_fork(self._start_in_child)

    def _start_in_child(self) -> None:
        self._state = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        # Called only for missing attributes; once open, these are plain attributes.
        if name in self.opened_by:
            self.open()
            return vars(self)[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def is_open(self) -> bool:
        """Whether databases, folders and backends are open."""
        return self._opened is not None

    def open(self) -> None:
        """Open databases, folders and backends; a second call does nothing.

        :raises FlowRunnerError: if something cannot be opened, naming the remedy; a later call tries again.
        """
        if self._opened is not None:
            return
        with self._state:
            if self._opened is None:
                if self._closed:
                    raise FlowRunnerError("This runner is closed.")
                self._take(self._opening())

    def check(self) -> None:
        """Open everything and close it again, to report problems before the first request.

        :raises FlowRunnerError: if something cannot be opened, naming the remedy.
        """
        if self._opened is None:
            self._opening().release()

    @abstractmethod
    def _take(self, opened: Opened) -> None:
        """Set the opened resources as attributes, ``_opened`` last."""
