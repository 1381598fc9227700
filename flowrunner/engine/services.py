"""What a run needs from the runner that it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from flowrunner.engine.events import Emit
from flowrunner.engine.frozen import FrozenResults
from flowrunner.engine.turn import Turns
from flowrunner.memory import Memory
from flowrunner.settings import Settings
from flowrunner.vectors import Vectors


@dataclass(slots=True)
class RunServices:
    """Handles that all runs of a runner share; none of them knows HTTP.

    ``variable(owner, name, secret=, asked=)`` returns the value of a stored or allowed variable, or
    None. ``secret`` says that it goes into an input that holds secrets, or that a component asks by
    itself; else anybody may come to see it. ``asked`` says that the request named it.
    ``stored_file(owner, name)`` returns the path of an owner's upload or raises ``BadRequest``.
    ``run_flow(owner, ...)`` runs another flow as part of this run. ``mask`` takes credentials out
    of a text. ``observe`` sees the events of the kinds ``observed`` (None: all but tokens); it is
    None where nobody looks.
    """

    memory: Memory
    settings: Settings
    pool: Executor
    turns: Turns
    variable: Callable[..., str | None]
    stored_file: Callable[[str, str], Any]
    run_flow: Callable[..., Any]
    mask: Callable[[str], str]
    frozen: FrozenResults = field(default_factory=FrozenResults)
    observe: Emit | None = None
    observed: frozenset[str] | None = None
    vectors: Vectors | None = None
