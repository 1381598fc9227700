"""Limits on runs for callers, across all processes and hosts: how often, and how many at a time."""

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
from flowrunner.store.counts import HeldPlaces
from flowrunner.text.digests import digest_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from flowrunner.runs.rates import Rates

logger = logging.getLogger("flowrunner")

#: The subjects of limits, narrowest first, as named in errors.
_KINDS: Final = {"KEY": "You", "SESSION": "This session", "ADDRESS": "Your address", "FLOW": "Callers of this flow"}


class Limits:
    """The limits of one runner.

    A request is counted when its run starts or is accepted; replayed answers and runs started by other runs are not
    counted. Background runs wait for a place, other runs are refused if there is none.

    :param rates: the rate limits; None for no limit.
    """

    def __init__(self, settings: Settings, engine: Engine, registry: RunRegistry, rates: Rates | None) -> None:
        self._prefix = settings.prefix
        self._registry = registry
        self._held = HeldPlaces(engine)
        self.start_in_child()
        self._rates = rates
        self._most = {kind: most for kind in _KINDS if (most := getattr(settings, f"runs_per_{kind.lower()}"))}

    def start_in_child(self) -> None:
        """Reset the state in a forked process: the parent releases its own places."""
        self._leaving = threading.Lock()
        self._left: list[str] = []

    @property
    def hold_places(self) -> bool:
        """Whether there is any limit on concurrent runs."""
        return bool(self._most)

    @property
    def are_none(self) -> bool:
        """Whether there are no limits."""
        return not self._most and self._rates is None

    def count(self, flow: Flow, request: RunRequest, identity: Identity) -> None:
        """Count a request against the rate limits.

        :raises TooMany: if a limit is reached, naming it and when to try again.
        :raises StoreFailed: if the counters are not available.
        """
        if self._rates is not None:
            subjects = _subjects(flow, request, identity)
            self._rates.hit([(f"RATE_PER_{kind}", _KINDS[kind], what) for kind, what in subjects])

    @contextmanager
    def place(self, run_id: str, flow: Flow, request: RunRequest, identity: Identity) -> Iterator[None]:
        """Return a context manager that holds the places of a run, which it may have taken before.

        :raises TooMany: if a limit has no free place, naming it.
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
        """Take the places of a run, all or none; return the limit without a free place, or None.

        :raises StoreFailed: if the database fails.
        """
        subjects = _subjects(flow, request, identity)
        names = {digest_of(kind, what): kind for kind, what in subjects if kind in self._most}
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
        """Release the places of a run, or later if the database fails."""
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
        """Whether there are places that could not be released when their runs ended."""
        return bool(self._left)

    def give_back(self) -> None:
        """Release the places of runs that have ended.

        :raises SQLAlchemyError: if the database fails.
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
    """Return the rate limits in the settings, by name."""
    return {f"RATE_PER_{kind}": getattr(settings, f"rate_per_{kind.lower()}") for kind in _KINDS}


def open_rates(settings: Settings, engine: Engine) -> Rates | None:
    """Return the rate limiter, or None without rate limits.

    :raises SettingsInvalid: if the store of the counters cannot be used.
    """
    said = rates_of(settings)
    if not any(said.values()):
        return None
    from flowrunner.runs.rates import Rates

    return Rates(said, settings.limits_store, engine, settings.prefix)


def counts_addresses(settings: Settings) -> bool:
    """Return whether any limit applies per address."""
    return bool(settings.rate_per_address or settings.runs_per_address)


def _subjects(flow: Flow, request: RunRequest, identity: Identity) -> list[tuple[str, str]]:
    """Return the subjects of a request: its key or user, the sessions that it names, its address, its flow."""
    # An admin key that acts for others is still the same key.
    found = [("KEY", f"key {identity.key}" if identity.key else f"user {group_of(identity)}")]
    found += [("SESSION", f"{identity.id}\0{session}") for session in _sessions_named(request)]
    if identity.address:
        found.append(("ADDRESS", identity.address))
    found.append(("FLOW", f"{flow.owner or ''}\0{flow.id}"))
    return found


def _sessions_named(request: RunRequest) -> list[str]:
    """Return the sessions that a request names: in session_id, or else in tweaks."""
    if request.session_id.strip() or not request.tweaks:
        return [request.session_id] if request.session_id else []
    fields = (each if isinstance(each, Mapping) else {name: each} for name, each in request.tweaks.items())
    named = [each.get(SESSION_INPUT) for each in fields]
    texts = [value.get("value") if isinstance(value, Mapping) else value for value in named]
    return list(dict.fromkeys(str(text) for text in texts if isinstance(text, (str, int, float)) and str(text).strip()))
