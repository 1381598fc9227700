"""What a run needs from the runner that it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Literal

from flowrunner.engine.events import Emit
from flowrunner.engine.frozen import FrozenResults
from flowrunner.engine.turn import Turns
from flowrunner.memory import Memory
from flowrunner.settings import Settings

#: What a variable is read for: an input that holds a secret (or a component that asks by itself), an input
#: that anybody may see, or a name that came with the request, for which the server's own keys are out of reach.
Purpose = Literal["secret", "open", "request"]


@dataclass(slots=True)
class RunServices:
    """Handles that all runs of a runner share; none of them knows HTTP.

    ``variable(owner, name, purpose)`` returns the value of a stored or allowed variable, or None; see
    :data:`Purpose`.
    ``stored_file(owner, name)`` returns the path of an owner's upload or raises ``BadRequest``.
    ``run_flow(owner, ...)`` runs another flow as part of this run. ``mask`` takes credentials out
    of a text. ``observe`` sees the events of the kinds ``observed`` (None: all but tokens); it is
    None where nobody looks.
    """

    memory: Memory
    settings: Settings
    pool: Executor
    turns: Turns
    variable: Callable[[str, str, Purpose], str | None]
    stored_file: Callable[[str, str], Any]
    run_flow: Callable[..., Any]
    mask: Callable[[str], str]
    frozen: FrozenResults = field(default_factory=FrozenResults)
    observe: Emit | None = None
    observed: frozenset[str] | None = None
