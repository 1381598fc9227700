"""Store what was read from a Langflow server, repeatably, and verify it by comparison."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from flowrunner.errors import BadRequest, Conflict, FlowNotFound, FlowRunnerError
from flowrunner.langflow.source import PROJECT, FoundFlow, FoundMessage, Source
from flowrunner.memory import EVERY_OWNER, Memory
from flowrunner.memory.message import Message
from flowrunner.memory.paging import pages_forward
from flowrunner.memory.transfer import own_ids
from flowrunner.store.flows import FlowStore
from flowrunner.store.keys import KeyStore
from flowrunner.store.variables import VariableStore

_BATCH: Final = 500

Progress = Callable[[str, int, int | None], None]


@dataclass(slots=True)
class Tally:
    """Of one kind of things: how many were found, how many are new here, were here already, and could not be stored."""

    found: int = 0
    stored: int = 0
    present: int = 0
    refused: int = 0


@dataclass(slots=True)
class Report:
    """What an import did.

    ``notes`` are sentences on what is different from the source, ``faults`` on what should not be,
    ``keys`` the new keys by user and name: their texts cannot be had again.
    """

    tallies: dict[str, Tally] = field(default_factory=dict)
    projects: list[str] = field(default_factory=list)
    sessions: int = 0
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    keys: list[tuple[str, str, str]] = field(default_factory=list)

    def tally(self, kind: str) -> Tally:
        """Return the figures of a kind."""
        return self.tallies.setdefault(kind, Tally())

    def to_json(self) -> dict[str, Any]:
        """Return it for programs, without the texts of keys."""
        kinds = {kind: {name: getattr(tally, name) for name in Tally.__slots__} for kind, tally in self.tallies.items()}
        return {
            **kinds,
            "projects": self.projects,
            "sessions": self.sessions,
            "notes": self.notes,
            "faults": self.faults,
        }


class Importer:
    """An import into the stores of a runner.

    :param owner_of: the owner here of a user there; an empty name is that of nobody.
    :param dry_run: store nothing; the report says what would be stored.
    :param progress: told the kind, how many more are done, and of how many if that is known.
    """

    def __init__(
        self,
        source: Source,
        *,
        memory: Memory,
        flows: FlowStore,
        variables: VariableStore,
        keys: KeyStore,
        owner_of: Callable[[str], str],
        dry_run: bool = False,
        progress: Progress = lambda kind, count, total: None,
    ) -> None:
        self._source = source
        self._memory = memory
        self._flows = flows
        self._variables = variables
        self._keys = keys
        self._owner_of = owner_of
        self._dry_run = dry_run
        self._progress = progress
        self.report = Report()

    def import_flows(self) -> None:
        """Store the flows under their ids; one that is here and differs is left as it is."""
        for found in self._source.flows():
            tally = self.report.tally("flows")
            tally.found += 1
            if found.project and found.project not in self.report.projects:
                self.report.projects.append(found.project)
            self._import_flow(found, tally)
            self._progress("flows", 1, None)

    def _import_flow(self, found: FoundFlow, tally: Tally) -> None:
        owner, name = self._owner_of(found.user), found.values["name"]
        try:
            here = self._flows.get(str(found.values["id"]), owner)
        except FlowNotFound:
            pass
        else:
            tally.present += 1
            if _digest(here.data) != _digest(found.values.get("data")):
                self.report.notes.append(
                    f"The flow {name} ({here.id}) already exists here and differs; it was not changed."
                )
            return
        if self._dry_run:
            tally.stored += 1
            return
        values = {**found.values, **({PROJECT: found.project} if found.project else {})}
        try:
            stored = self._flows.create(owner, values)
        except Conflict as error:
            tally.refused += 1
            self.report.notes.append(f"The flow {name} was skipped: {error.message}")
            return
        except FlowRunnerError as error:
            tally.refused += 1
            self.report.faults.append(f"The flow {name} cannot be stored: {error.message}")
            return
        tally.stored += 1
        if (stored.name, stored.endpoint_name) != (name, found.values.get("endpoint_name")):
            self.report.notes.append(
                f"The flow {name} is called {stored.name} ({stored.endpoint_name or 'no endpoint name'}): its name was"
                " already in use."
            )
        if _digest(stored.data) != _digest(found.values.get("data")):
            self.report.faults.append(f"The flow {name} differs after it was stored.")

    def import_messages(self) -> None:
        """Store the messages in their order; those that are here are passed over, and then both sides are compared."""
        total = self._source.count_messages()
        tally = self.report.tally("messages")
        expected, ids = _Digests(), set[str]()
        sessions: set[tuple[str, str]] = set()
        homeless = 0

        def arriving() -> Iterator[tuple[int, Message]]:
            nonlocal homeless
            for number, found in enumerate(self._source.messages(), 1):
                homeless += not found.user
                yield number, self._own(found)

        numbered = own_ids(self._memory, arriving())
        while page := [message for _, message in islice(numbered, _BATCH)]:
            tally.found += len(page)
            sessions.update((message.owner, message.session_id) for message in page)
            fresh = self._fresh(page, tally)
            if not self._dry_run:
                self._append(fresh)
            for message in fresh:
                expected.add(message)
                ids.add(str(message.id))
            tally.stored += len(fresh)
            self._progress("messages", len(page), total)
        self.report.sessions = len(sessions)
        if homeless:
            self.report.notes.append(
                f"{homeless} messages belong to no user and to no existing flow; they are assigned to"
                f" {self._source.users()[0]}."
            )
        if not self._dry_run and ids:
            self._compare(expected, ids)

    def _own(self, found: FoundMessage) -> Message:
        return found.message.replace(owner=self._owner_of(found.user))

    def _fresh(self, page: list[Message], tally: Tally) -> list[Message]:
        """Return those that are not here yet; of the others note what differs."""
        known = {
            message.id: message
            for message in self._memory.for_owner(EVERY_OWNER).fetch(ids=tuple(str(m.id) for m in page))
        }
        changed = sum(1 for m in page if m.id in known and _record(known[m.id]) != _record(m))
        if changed:
            self.report.notes.append(
                f"{changed} messages already exist here and differ, because they were changed here."
            )
        fresh = [message for message in page if message.id not in known]
        tally.present += len(page) - len(fresh)
        return fresh

    def _append(self, messages: list[Message]) -> None:
        start = 0
        for end in range(1, len(messages) + 1):
            if end == len(messages) or messages[end].owner != messages[start].owner:
                self._memory.for_owner(messages[start].owner).append(messages[start:end])
                start = end

    def _compare(self, expected: _Digests, ids: set[str]) -> None:
        """Read back what was stored, in the order of each session, and compare number and digest of each."""
        found = _Digests()
        for owner in expected.owners():
            for page in pages_forward(self._memory.for_owner(owner)):
                for message in page:
                    if message.id in ids:
                        found.add(message)
        self.report.faults += expected.differences(found)

    def import_variables(self) -> None:
        """Store variables; of one whose value is not known only the name, for a later import or its user to fill."""
        for found in self._source.variables():
            tally = self.report.tally("variables")
            tally.found += 1
            owner = self._owner_of(found.user)
            here = next((one for one in self._variables.list(owner) if one.name == found.name.strip()), None)
            if here is not None and (here.has_value or found.value is None):
                tally.present += 1
                continue
            tally.stored += 1
            if found.value is None:
                self.report.notes.append(f"The variable {found.name} has no value here: {_NO_VALUE}")
            if self._dry_run:
                continue
            kinds: dict[str, Any] = {"type": found.type, "default_fields": found.default_fields}
            try:
                if here is not None:
                    self._variables.update(here.id, owner, {"value": found.value, **kinds})
                elif found.value:
                    self._variables.create(owner, found.name, found.value, **kinds)
                else:
                    self._variables.declare(owner, found.name, **kinds)
            except FlowRunnerError as error:
                tally.stored -= 1
                tally.refused += 1
                self.report.faults.append(f"The variable {found.name} cannot be stored: {error.message}")

    def renew_keys(self) -> None:
        """Make a new key for each that counts there; their old texts are known to nobody but their users."""
        made = {key.name for key in self._keys.list()}
        for found in self._source.api_keys():
            tally = self.report.tally("keys")
            tally.found += 1
            name = _printable(f"{found.name} (Langflow {found.id[:8]})".strip())
            if name in made:
                tally.present += 1
                continue
            tally.stored += 1
            if not self._dry_run:
                user = _printable(found.user) or self._source.users()[0]
                try:
                    self.report.keys.append((user, name, self._keys.create(user, name=name)))
                except BadRequest as error:
                    tally.stored -= 1
                    tally.refused += 1
                    self.report.faults.append(f"The key {name} cannot be recreated: {error.message}")

    def finish(self) -> Report:
        """Return the report, with what the source had to say at its end."""
        self.report.notes += self._source.notes
        return self.report


_NO_VALUE: Final = "it is encrypted in the source; import again with the secret key, or set the value by hand."


class _Digests:
    """A digest per session over its messages in order, as they come."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], Any] = {}
        self._counts: dict[tuple[str, str], int] = {}

    def add(self, message: Message) -> None:
        place = (message.owner, message.session_id)
        if place not in self._sums:
            self._sums[place] = hashlib.sha256()
        self._sums[place].update(_canonical(_record(message)))
        self._counts[place] = self._counts.get(place, 0) + 1

    def owners(self) -> list[str]:
        return sorted({owner for owner, _ in self._sums})

    def differences(self, other: _Digests) -> Iterable[str]:
        for place, digest in self._sums.items():
            mine, theirs = self._counts[place], other._counts.get(place, 0)
            if mine != theirs:
                yield f"Of {mine} messages of the session {place[1]!r} the store gives {theirs} back."
            elif digest.digest() != other._sums[place].digest():
                yield f"The session {place[1]!r} differs, or is in another order, after it was stored."


def _record(message: Message) -> Mapping[str, Any]:
    return message.to_record()


def _digest(value: Any) -> bytes:
    return hashlib.sha256(_canonical(value)).digest()


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
