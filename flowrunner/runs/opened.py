"""What a runner holds open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowrunner.engine.events import Observer
from flowrunner.memory import Memory
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
    """What a runner holds open: its stores, its conversations, its flows."""

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
        """Close all of it."""
        self.memory.close()
        self.vectors.close()
        self.close()
