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
    """The value of a variable, where it comes from, and whether it is a credential, for fields for secrets only."""

    value: str
    word: Word
    credential: bool = False


@dataclass(slots=True)
class RunServices:
    """Services that all runs of a runner share; none depends on HTTP.

    ``variable(owner, name, asked=, chosen=)`` returns a stored or allowed variable, or None. ``asked`` means that the
    request named the variable, ``chosen`` that the request chose it among names defined by the component.
    ``stored_file(owner, name)`` returns the path of an owner's upload or raises ``BadRequest``. ``save_file(owner,
    flow_id, name, data, append=)`` stores bytes as an upload of the owner. ``run_flow(owner, ...)`` runs another flow
    as part of this run. ``mask`` removes credentials from a text. ``observe`` is called with events of the kinds in
    ``observed`` (None: all but tokens), and is None without observers. ``operator`` is the owner whose flows count as
    the operator's own: the local user of a server without API keys.
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
