"""A run requested over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flowrunner.engine.request import RunRequest
from flowrunner.flows.model import Flow
from flowrunner.identity import Identity
from flowrunner.runner import Runner

#: The header with the id of the run.
RUN_HEADER: Final = "X-Run-Id"


@dataclass(slots=True)
class Call:
    """A flow to run, what is asked of it, and by whom.

    :param environ: the WSGI environment of the request; empty outside of one.
    :param kind: how the run is requested; see :meth:`~flowrunner.runner.Runner.execute`.
    """

    runner: Runner
    flow: Flow
    asked: RunRequest
    identity: Identity
    environ: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "run"
