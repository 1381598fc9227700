"""Health checks of the stores of a runner."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from flowrunner.store.probe import check_writable, look_at_database
from flowrunner.store.watch import Looks, StoreWatch

if TYPE_CHECKING:
    from flowrunner.runner import Runner


def watch_stores(runner: Runner) -> StoreWatch:
    """Return the watch of a runner's stores. It holds only a weak reference to the runner, which may not be open."""
    held = weakref.ref(runner)

    def looks() -> Looks:
        found = held()
        if found is None:
            return {}
        return {"database": lambda: _look_at_database(found), "memory": lambda: _look_at_memory(found)}

    return StoreWatch(looks)


def _look_at_database(runner: Runner) -> None:
    runner.open()
    look_at_database(runner.engine)
    check_writable(str(runner.settings.data_dir))


def _look_at_memory(runner: Runner) -> None:
    runner.open()
    runner.memory.for_owner("health").fetch(limit=1)
    place = Path(runner.memory.backend.place)
    if place.is_absolute():
        check_writable(str(place.parent if place.is_file() else place))
