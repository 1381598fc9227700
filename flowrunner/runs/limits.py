"""Limits on what callers may ask for, counted for all processes and hosts: how often, and how much at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import SQLAlchemyError

from flowrunner.engine.planned import SESSION_INPUT
from flowrunner.engine.request import RunRequest
from flowrunner.errors import StoreFailed, TooMany
from flowrunner.flows.model import Flow
from flowrunner.identity import Identity
from flowrunner.runs.registry import RunRegistry
from flowrunner.settings.setting import Settings
from flowrunner.shares import group_of
from flowrunner.store.counts import HeldPlaces, name_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from flowrunner.runs.rates import Rates

logger = logging.getLogger("flowrunner")

#: By what is counted, the narrowest first, and who is said to have asked for too much.
_KINDS: Final = {"KEY": "You", "SESSION": "This session", "ADDRESS": "Your address", "FLOW": "Callers of this flow"}


class Limits:
    """The limits of one runner.

    A request is counted when its run begins or is accepted: a replay of an answer that is kept is not, and neither is
    what a run runs in turn. Runs in the background wait for a place, all others are refused where there is none.

    :param rates: how often runs may be asked for, None for any number.
    """

    def __init__(self, settings: Settings, engine: Engine, registry: RunRegistry, rates: Rates | None) -> None:
        self._prefix = settings.prefix
        self._registry = registry
        self._held = HeldPlaces(engine)
        self.start_in_child()
        self._rates = rates
        self._most = {kind: most for kind in _KINDS if (most := getattr(settings, f"runs_per_{kind.lower()}"))}

    def start_in_child(self) -> None:
        """Begin afresh in a forked process: what is to be given back its parent gives back."""
        self._leaving = threading.Lock()
        self._left: list[str] = []

    @property
    def hold_places(self) -> bool:
        """Whether runs hold places of any limit."""
        return bool(self._most)

    @property
    def are_none(self) -> bool:
        """Whether there is no limit at all."""
        return not self._most and self._rates is None

    def count(self, flow: Flow, request: RunRequest, identity: Identity) -> None:
        """Count a request against its rates.

        :raises TooMany: naming the one that is reached, and when to try again.
        :raises StoreFailed: if what counts cannot be asked.
        """
        if self._rates is not None:
            subjects = _subjects(flow, request, identity)
            self._rates.hit([(f"RATE_PER_{kind}", _KINDS[kind], what) for kind, what in subjects])

    @contextmanager
    def place(self, run_id: str, flow: Flow, request: RunRequest, identity: Identity) -> Iterator[None]:
        """Hold the places of a run, which it may have taken before.

        :raises TooMany: naming the limit that has none left.
        :raises StoreFailed: if the database fails.
        """
        if not self._most:
            yield
            return
        missing = self.take(run_id, flow, request, identity)
        if missing is not None:
            most = self._most[missing]
            raise TooMany(
                f"{_KINDS[missing]} may run {most} flow{'s' * (most != 1)} at a time"
                f" ({self._prefix}RUNS_PER_{missing}), and that many are running: try again."
            )
        try:
            yield
        finally:
            self.leave(run_id)

    def take(self, run_id: str, flow: Flow, request: RunRequest, identity: Identity) -> str | None:
        """Take the places of a run, all or none; return which kind of place there is none left of.

        :raises StoreFailed: if the database fails.
        """
        subjects = _subjects(flow, request, identity)
        names = {name_of(kind, what): kind for kind, what in subjects if kind in self._most}
        if not names:
            return None
        try:
            self.give_back()
            wanted = {name: self._most[kind] for name, kind in names.items()}
            missing = self._held.take(run_id, self._registry.process_id, wanted)
        except SQLAlchemyError as error:
            raise StoreFailed("The server cannot count runs now, so the run was not started; try again.") from error
        return None if missing is None else names[missing]

    def leave(self, run_id: str) -> None:
        """Give back the places of a run; where that cannot be done now, it is done later."""
        if not self._most:
            return
        with self._leaving:
            self._left.append(run_id)
        try:
            self.give_back()
        except SQLAlchemyError as error:
            logger.warning("The places of a run will be released later: %s", type(error).__name__)

    @property
    def owes_places(self) -> bool:
        """Whether there are places that could not be given back when their runs ended."""
        return bool(self._left)

    def give_back(self) -> None:
        """Give back the places of runs that have ended.

        :raises SQLAlchemyError: if that cannot be done now.
        """
        if not self._left:
            return
        with self._leaving:
            left, self._left = self._left, []
        try:
            if left:
                self._held.give_back(left)
        except BaseException:
            with self._leaving:
                self._left += left
            raise


def rates_of(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Return what settings say of rates, by their names."""
    return {f"RATE_PER_{kind}": getattr(settings, f"rate_per_{kind.lower()}") for kind in _KINDS}


def open_rates(settings: Settings, engine: Engine) -> Rates | None:
    """Return what counts how often runs are asked for, None where any number may be.

    :raises SettingsInvalid: for a store that cannot be used.
    """
    said = rates_of(settings)
    if not any(said.values()):
        return None
    from flowrunner.runs.rates import Rates

    return Rates(said, settings.limits_store, engine, settings.prefix)


def counts_addresses(settings: Settings) -> bool:
    """Return whether any limit counts by address."""
    return bool(settings.rate_per_address or settings.runs_per_address)


def _subjects(flow: Flow, request: RunRequest, identity: Identity) -> list[tuple[str, str]]:
    """Return by what a request is counted: its key or user, the sessions that it names, its address, its flow."""
    # An admin's key in the name of others is the same key.
    found = [("KEY", f"key {identity.key}" if identity.key else f"user {group_of(identity)}")]
    found += [("SESSION", f"{identity.id}\0{session}") for session in _sessions_named(request)]
    if identity.address:
        found.append(("ADDRESS", identity.address))
    found.append(("FLOW", f"{flow.owner or ''}\0{flow.id}"))
    return found


def _sessions_named(request: RunRequest) -> list[str]:
    """Return the sessions that a request names: its own, else those of its tweaks."""
    if request.session_id.strip() or not request.tweaks:
        return [request.session_id] if request.session_id else []
    fields = (each if isinstance(each, Mapping) else {name: each} for name, each in request.tweaks.items())
    named = [each.get(SESSION_INPUT) for each in fields]
    texts = [value.get("value") if isinstance(value, Mapping) else value for value in named]
    return list(dict.fromkeys(str(text) for text in texts if isinstance(text, (str, int, float)) and str(text).strip()))
