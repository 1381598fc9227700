"""The services that a runner provides to its runs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowrunner.engine.events import Emit
from flowrunner.engine.frozen import FrozenResults
from flowrunner.engine.turn import Turns
from flowrunner.memory import Memory
from flowrunner.settings.setting import Settings
from flowrunner.word import Word

if TYPE_CHECKING:
    from flowrunner.vectors import Vectors, VectorsWithin


@dataclass(frozen=True, slots=True)
class FoundVariable:
    """The value of a variable, whose it is, and whether it goes into fields for secrets only."""

    value: str
    word: Word
    credential: bool = False


@dataclass(slots=True)
class RunServices:
    """Handles that all runs of a runner share; none of them knows HTTP.

    ``variable(owner, name, asked=, chosen=)`` returns a stored or allowed variable, or None.
    ``asked`` says that the request named it, ``chosen`` that the request chose it among names of
    the component's own.
    ``stored_file(owner, name)`` returns the path of an owner's upload or raises ``BadRequest``.
    ``save_file(owner, flow_id, name, data, append=)`` keeps bytes among the owner's uploads.
    ``run_flow(owner, ...)`` runs another flow as part of this run. ``mask`` takes credentials out
    of a text. ``observe`` sees the events of the kinds ``observed`` (None: all but tokens); it is
    None where nobody looks. ``operator`` is the owner whose flows are the operator's own word, too:
    the local user of an open server of this machine.
    """

    memory: Memory
    settings: Settings
    pool: Executor
    turns: Turns
    variable: Callable[..., FoundVariable | None]
    stored_file: Callable[[str, str], Any]
    run_flow: Callable[..., Any]
    mask: Callable[[str], str]
    frozen: FrozenResults = field(default_factory=FrozenResults)
    observe: Emit | None = None
    observed: frozenset[str] | None = None
    vectors: Vectors | VectorsWithin | None = None
    operator: str | None = None
    save_file: Callable[..., str] | None = None
