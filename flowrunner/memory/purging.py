"""Delete the messages that retention rules no longer keep, on any backend."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from flowrunner.memory import EVERY_OWNER, Memory, OwnerMemory, SessionSummary
from flowrunner.memory.message import Message, utc_now
from flowrunner.memory.paging import each_session, pages_back
from flowrunner.memory.retention import RetentionRule

_AT_ONCE = 500


@dataclass(slots=True)
class Purged:
    """The numbers of messages and sessions that a rule removed, or would remove in a dry run."""

    rule: RetentionRule
    messages: int = 0
    sessions: int = 0


@dataclass(frozen=True, slots=True)
class Preview:
    """What rules would remove of some sessions.

    ``last`` is the session at which to go on, None where there is none left. ``cut`` says that a session
    was not looked at to its end, so that the numbers are the least.
    """

    purged: list[Purged]
    sessions: int
    last: SessionSummary | None
    cut: bool


@dataclass(slots=True)
class _Survivors:
    """The moments of the newest messages under a rule with a total, and how many messages there are in all."""

    total: int
    count: int = 0
    newest: list[datetime] = field(default_factory=list)
    ties: int = 0

    def add(self, moment: datetime) -> None:
        self.count += 1
        if len(self.newest) < self.total:
            heapq.heappush(self.newest, moment)
        elif self.newest:
            heapq.heappushpop(self.newest, moment)

    def settle(self) -> bool:
        """Return whether there are too many messages, after all were counted."""
        self.ties = self.newest.count(self.newest[0]) if self.newest else 0
        return self.count > self.total

    def drops(self, moment: datetime) -> bool:
        """Return whether a message with this timestamp is removed."""
        if not self.newest or moment < self.newest[0]:
            return True
        if moment == self.newest[0]:
            self.ties -= 1
            return self.ties < 0
        return False


def purge(
    memory: Memory,
    rules: Sequence[RetentionRule],
    *,
    now: datetime | None = None,
    dry_run: bool = False,
    flow_names: Mapping[str, str] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> list[Purged]:
    """Delete what the rules do not keep; the first rule that matches a message applies.

    Only one page of messages and the ids to delete in one session are in memory at a time.

    :param now: the time from which ages are counted.
    :param dry_run: delete nothing; return what would be deleted.
    :param flow_names: endpoint names by flow id, so that rules may say either.
    :param stopped: called before each session; returns True to stop.
    :returns: what each rule removed, in the order of the rules.
    """
    return _Purge(memory, rules, now or utc_now(), dry_run, flow_names or {}, stopped).run()


def preview_purge(
    memory: Memory,
    rules: Sequence[RetentionRule],
    *,
    after: tuple[str, str] | None = None,
    most: int = 500,
    now: datetime | None = None,
    flow_names: Mapping[str, str] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Preview:
    """Tell what the rules would remove of the next sessions, latest activity first; remove nothing.

    :param after: owner and id of the session behind which to begin.
    :param most: sessions to look at, at most.
    :param stopped: asked after each page of messages and each session; at least one session is begun.
    :raises ValueError: for a rule with a total, which concerns all sessions together.
    :raises NotFound: if the session behind which to begin is gone.
    """
    if any(rule.total is not None for rule in rules):
        raise ValueError("a rule with a total applies to all sessions together")
    owner, session_id = after or (None, None)
    work = _Purge(memory, rules, now or utc_now(), True, flow_names or {}, stopped)
    work.late = stopped
    page = memory.for_owner(EVERY_OWNER).sessions(limit=most + 1, after=session_id, after_owner=owner)
    for number, summary in enumerate(page[:most], 1):
        work.look_at(summary)
        if number < len(page) and (number == most or stopped()):
            return Preview(work.purged, number, summary, work.cut)
    return Preview(work.purged, len(page), None, work.cut)


class _Purge:
    def __init__(
        self,
        memory: Memory,
        rules: Sequence[RetentionRule],
        now: datetime,
        dry_run: bool,
        names: Mapping[str, str],
        stopped: Callable[[], bool],
    ) -> None:
        self._memory = memory
        self._rules = rules
        self._now = now
        self._dry_run = dry_run
        self._names = names
        self._stopped = stopped
        self.purged = [Purged(rule) for rule in rules]
        #: Asked after each page of messages: whether to leave a session before all of it was looked at; and whether
        #: that was done.
        self.late: Callable[[], bool] = lambda: False
        self.cut = False
        self._touched: list[set[tuple[object, str]]] = [set() for _ in rules]
        self._survivors = {n: _Survivors(rule.total) for n, rule in enumerate(rules) if rule.total is not None}

    def run(self) -> list[Purged]:
        for summary in self._sessions():
            self.look_at(summary)
        if self._stopped():
            return self.purged
        crowded = {n for n, survivors in self._survivors.items() if survivors.settle()}
        if crowded:
            for summary in self._sessions():
                indexes = self._rules_of(summary)
                if crowded.intersection(indexes):
                    own = self._memory.for_owner(summary.owner)
                    self._drop_oldest(own, summary.session_id, indexes, crowded)
        return self.purged

    def look_at(self, summary: SessionSummary) -> None:
        """Remove what age and number do not keep of a session, or in a dry run count it."""
        own, indexes = self._memory.for_owner(summary.owner), self._rules_of(summary)
        if self._may_go(own, summary, indexes):
            self._purge_session(own, summary.session_id, indexes)

    def _sessions(self) -> Iterator[SessionSummary]:
        for summary in each_session(self._memory.for_owner(EVERY_OWNER)):
            if self._stopped():
                return
            yield summary

    def _rules_of(self, summary: SessionSummary) -> list[int]:
        return [n for n, rule in enumerate(self._rules) if rule.fits_session(summary.owner, summary.session_id)]

    def _may_go(self, own: OwnerMemory, summary: SessionSummary, indexes: Sequence[int]) -> bool:
        """Return whether a session must be read, so that one in which nothing is old costs next to nothing."""
        for rule in (self._rules[n] for n in indexes):
            if rule.total is not None or (rule.newest is not None and summary.count > rule.newest):
                return True
            if rule.age is not None and own.fetch(
                session_id=summary.session_id, until=self._oldest_kept(rule), limit=1
            ):
                return True
        return False

    def _purge_session(self, own: OwnerMemory, session_id: str, indexes: Sequence[int]) -> None:
        gone: dict[int, list[str]] = {}
        for message, index, stays in self._judged(own, session_id, indexes):
            if not stays:
                gone.setdefault(index, []).append(str(message.id))
            elif index in self._survivors:
                self._survivors[index].add(message.timestamp)
        self._remove(own, session_id, gone)

    def _drop_oldest(self, own: OwnerMemory, session_id: str, indexes: Sequence[int], crowded: set[int]) -> None:
        gone: dict[int, list[str]] = {}
        for message, index, stays in self._judged(own, session_id, indexes):
            if stays and index in crowded and self._survivors[index].drops(message.timestamp):
                gone.setdefault(index, []).append(str(message.id))
        self._remove(own, session_id, gone)

    def _judged(self, own: OwnerMemory, session_id: str, indexes: Sequence[int]) -> Iterator[tuple[Message, int, bool]]:
        """Go through a session from its newest message; yield the rule of each, and whether age and number keep it."""
        kept = dict.fromkeys(indexes, 0)
        for page in pages_back(own, session_id=session_id):
            for message in reversed(page):
                names = {message.flow_id or "", self._names.get(message.flow_id or "", message.flow_id or "")}
                index = next((n for n in indexes if self._rules[n].fits_flow(names)), None)
                if index is None:
                    continue
                rule = self._rules[index]
                too_old = rule.age is not None and message.timestamp < self._oldest_kept(rule)
                too_many = rule.newest is not None and kept[index] >= rule.newest
                kept[index] += 1
                yield message, index, not (too_old or too_many)
            if self.late():
                self.cut = True
                return

    def _oldest_kept(self, rule: RetentionRule) -> datetime:
        if rule.age is None:
            raise ValueError("the rule has no age")
        try:
            return self._now - rule.age
        except OverflowError:
            return datetime.min.replace(tzinfo=self._now.tzinfo)

    def _remove(self, own: OwnerMemory, session_id: str, gone: Mapping[int, list[str]]) -> None:
        for index, ids in gone.items():
            number = len(ids) if self._dry_run else 0
            for start in range(0, 0 if self._dry_run else len(ids), _AT_ONCE):
                number += own.delete(ids=tuple(ids[start : start + _AT_ONCE]))
            self.purged[index].messages += number
            self._touched[index].add((own.owner, session_id))
            self.purged[index].sessions = len(self._touched[index])
