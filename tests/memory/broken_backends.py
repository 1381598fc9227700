"""Backends with one mistake each, and the test of the kit that catches it.

Not collected by itself: ``test_kit_has_teeth.py`` runs it and wants every named test to fail.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import json
import os
import re
import threading
import time
import unicodedata
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from datetime import timezone
from pathlib import Path
from typing import ClassVar

from flowrunner import (
    EVERY_OWNER,
    FlowRunnerError,
    MemoryFailed,
    MessageChanges,
    MessageQuery,
    NotFound,
    SessionQuery,
    fold,
)
from flowrunner.memory.message import make_properties
from flowrunner.testing import MemoryBackendContract
from flowrunner.testing.memory.concurrency import WRITERS
from flowrunner.testing.memory.processes import PROCESSES
from flowrunner.testing.memory.threads import THREADS
from tests.memory.leased import LeasedFile
from tests.memory.meeting import DEADLINE, Meets, ProcessMeeting, ThreadMeeting
from tests.memory.plain import PlainFile, PlainMemory, SharedFile

#: The name of the test that must fail, by class of tests.
CAUGHT_BY: dict[str, str] = {}


def caught_by(test: str):
    """Make a class of tests for a broken backend: the group of the kit that holds the test."""
    name_of_test = test.partition("[")[0]
    group = next(base for base in MemoryBackendContract.__mro__ if name_of_test in vars(base))

    def decorate(backend: type) -> type:
        def open_backend(self, folder: Path):
            self.opened = backend(folder / "messages.json") if issubclass(backend, (PlainFile, Server)) else backend()
            return self.opened

        def crash_store(self, folder: Path):
            self.opened.crash()

        @contextmanager
        def break_writes(self, backend):
            backend.full = True
            yield
            backend.full = False

        name = "Test" + backend.__name__
        body = {"open_backend": open_backend, "break_writes": break_writes, "__module__": __name__, "shortens": False}
        body |= {"crash_store": crash_store, "lock_lease": getattr(backend, "lease", None), "patience": 2.0}
        body |= {"kills": getattr(backend, "kills", group.kills)}
        globals()[name] = type(name, (group,), body)
        CAUGHT_BY[name] = test
        return backend

    return decorate


# Order and windows


@caught_by("test_the_clock_does_not_decide_order")
class SortsByTime(PlainMemory):
    def select(self, query):
        return sorted(super().select(query), key=lambda message: message.timestamp)


@caught_by("test_messages_come_back_oldest_first")
class NewestFirst(PlainMemory):
    def select(self, query):
        return super().select(query)[::-1]


@caught_by("test_ids_do_not_decide_order")
class SortsById(PlainMemory):
    def save(self, rows):
        super().save(sorted(rows, key=lambda message: message.id))


@caught_by("test_sessions_share_one_order")
class SortsBySession(PlainMemory):
    def select(self, query):
        return sorted(super().select(query), key=lambda message: message.session_id)


@caught_by("test_limit_keeps_the_newest")
class LimitKeepsOldest(PlainMemory):
    def select(self, query):
        return super().select(query.replace(limit=None))[: query.limit]


@caught_by("test_offset_skips_the_newest")
class OffsetSkipsOldest(PlainMemory):
    def select(self, query):
        return super().select(query.replace(offset=0, limit=None))[query.offset :][: query.limit]


@caught_by("test_the_window_is_counted_after_the_filters")
class LimitBeforeFilters(PlainMemory):
    def select(self, query):
        window = self.rows if query.limit is None else self.rows[-query.limit :]
        return query.replace(limit=None).select(window)


@caught_by("test_before_pages_backward")
class CursorIsIncluded(PlainMemory):
    def select(self, query):
        if query.before is None:
            return super().select(query)
        place = [message.id for message in self.rows].index(query.before)
        return query.replace(before=None).select(self.rows[: place + 1])


@caught_by("test_after_pages_forward")
class AfterKeepsNewest(PlainMemory):
    def select(self, query):
        found = super().select(query.replace(limit=None))
        return found if query.limit is None else found[-query.limit :]


@caught_by("test_a_cursor_that_is_gone_is_an_error")
class GoneCursorMeansNoCursor(PlainMemory):
    def select(self, query):
        try:
            return super().select(query)
        except NotFound:
            return super().select(query.replace(before=None, after=None))


@caught_by("test_a_cursor_may_be_of_another_session")
class CursorWithinTheSession(PlainMemory):
    def select(self, query):
        return query.select([m for m in self.rows if query.session_id in (None, m.session_id)])


# Owners


@caught_by("test_fetching_reaches_the_owners_messages_only")
class FetchesForEverybody(PlainMemory):
    def fetch_messages(self, query):
        return super().fetch_messages(query.replace(owner=EVERY_OWNER))


@caught_by("test_fetching_reaches_the_owners_messages_only")
class IdsNeedNoOwner(PlainMemory):
    def select(self, query):
        return super().select(query.replace(owner=EVERY_OWNER) if query.ids else query)


@caught_by("test_deleting_reaches_the_owners_messages_only")
class DeletesForEverybody(PlainMemory):
    def delete_messages(self, query):
        return super().delete_messages(query.replace(owner=EVERY_OWNER))


@caught_by("test_updating_reaches_the_owners_messages_only")
class UpdatesForEverybody(PlainMemory):
    def update_messages(self, query, changes):
        return super().update_messages(query.replace(owner=EVERY_OWNER), changes)


@caught_by("test_listing_reaches_the_owners_sessions_only")
class ListsForEverybody(PlainMemory):
    def list_sessions(self, query):
        return super().list_sessions(SessionQuery(owner=EVERY_OWNER, flow_id=query.flow_id))


@caught_by("test_a_cursor_of_another_owner_is_as_good_as_gone")
class CursorNeedsNoOwner(PlainMemory):
    def select(self, query):
        found = query.replace(owner=EVERY_OWNER, limit=None, offset=0).select(self.rows)
        return query.window([message for message in found if query.matches(message)])


@caught_by("test_a_move_for_every_owner_keeps_owners_apart")
class MergesOwners(PlainMemory):
    def rewrite(self, changes, meant):
        rows = super().rewrite(changes, meant)
        if changes.session_id is None:
            return rows
        there = iter(sorted((m for m in rows if m.session_id == changes.session_id), key=lambda m: m.timestamp))
        owner = meant[0].owner if meant else ""
        return [next(there).replace(owner=owner) if m.session_id == changes.session_id else m for m in rows]


@caught_by("test_owner_and_session_never_run_together")
class JoinsOwnerAndSession(PlainMemory):
    def select(self, query):
        if not isinstance(query.owner, str) or query.session_id is None:
            return super().select(query)
        key = f"{query.owner}/{query.session_id}"
        return [message for message in self.rows if f"{message.owner}/{message.session_id}" == key]


# Values


@caught_by("test_what_came_out_can_be_changed_by_its_holder")
class HandsOutItsOwn(PlainMemory):
    def give_out(self, message):
        return message


@caught_by("test_what_went_in_can_be_changed_by_its_holder")
class KeepsWhatIsTheCallers(PlainMemory):
    def take_in(self, message):
        return message


@caught_by("test_awkward_session_ids_are_all_different")
class StripsSessionIds(PlainMemory):
    def take_in(self, message):
        return super().take_in(message).replace(session_id=message.session_id.strip())

    def select(self, query):
        session = None if query.session_id is None else query.session_id.strip()
        return super().select(query.replace(session_id=session))


@caught_by("test_awkward_session_ids_are_all_different")
class CutsLongSessionIds(PlainMemory):
    def take_in(self, message):
        return super().take_in(message).replace(session_id=message.session_id[:255])

    def select(self, query):
        session = None if query.session_id is None else query.session_id[:255]
        return super().select(query.replace(session_id=session))


@caught_by("test_awkward_texts_come_back")
class CutsAtNul(PlainMemory):
    def take_in(self, message):
        return super().take_in(message).replace(text=message.text.split("\0")[0])


@caught_by("test_every_field_comes_back")
class RoundsTimestamps(PlainMemory):
    def take_in(self, message):
        return super().take_in(message).replace(timestamp=message.timestamp.replace(microsecond=0))


@caught_by("test_defaults_and_nulls_come_back")
class MixesUpNullAndEmpty(PlainMemory):
    def give_out(self, message):
        return super().give_out(message).replace(context_id=message.context_id or None)


@caught_by("test_json_comes_back_as_json")
class KeepsKnownPropertiesOnly(PlainMemory):
    def take_in(self, message):
        kept = {name: value for name, value in message.properties.items() if name in make_properties()}
        return super().take_in(message).replace(properties=kept)


@caught_by("test_timestamps_come_back_to_the_microsecond_and_aware")
class ForgetsTheTimeZone(PlainMemory):
    def give_out(self, message):
        return (
            super().give_out(message).replace(timestamp=message.timestamp.astimezone(timezone.utc).replace(tzinfo=None))
        )


# All or none


@caught_by("test_a_refused_call_stores_nothing")
class StoresHalfACall(PlainMemory):
    def append_messages(self, messages):
        return [super(StoresHalfACall, self).append_messages([message])[0] for message in messages]


@caught_by("test_an_id_that_is_taken_is_refused")
class OverwritesTakenIds(PlainMemory):
    def refuse_taken(self, messages):
        ids = {message.id for message in messages}
        self.rows = [message for message in self.rows if message.id not in ids]


@caught_by("test_an_id_that_is_taken_is_refused")
class IdsAreTakenPerOwner(PlainMemory):
    def refuse_taken(self, messages):
        rows, self.rows = self.rows, [m for m in self.rows if m.owner == messages[0].owner]
        try:
            super().refuse_taken(messages)
        finally:
            self.rows = rows


@caught_by("test_an_id_twice_in_one_call_is_refused")
class LooksAtStoredIdsOnly(PlainMemory):
    def refuse_taken(self, messages):
        for message in messages:
            super().refuse_taken([message])


@caught_by("test_a_failed_append_stores_nothing")
class FailsSilently(PlainMemory):
    def save(self, rows):
        try:
            super().save(rows)
        except MemoryFailed:
            return


@caught_by("test_a_failed_append_stores_nothing")
class FailsHalfway(PlainMemory):
    def save(self, rows):
        if self.full:
            self.rows = rows[: len(self.rows) + 1]
        super().save(rows)


@caught_by("test_a_failed_change_changes_nothing")
class FailsInOtherWords(PlainMemory):
    def save(self, rows):
        if self.full:
            raise OSError("no space left")
        super().save(rows)


# Changes and lists


@caught_by("test_an_edit_keeps_the_place")
class EditsMoveToTheEnd(PlainMemory):
    def rewrite(self, changes, meant):
        rows = super().rewrite(changes, meant)
        ids = {message.id for message in meant}
        return sorted(rows, key=lambda message: message.id in ids)


@caught_by("test_each_field_can_be_changed_alone")
class MergesProperties(PlainMemory):
    def rewrite(self, changes, meant):
        old = {message.id: message.properties for message in meant}
        rows = super().rewrite(changes, meant)
        return [
            message.replace(properties={**old[message.id], **message.properties}) if message.id in old else message
            for message in rows
        ]


@caught_by("test_a_merge_is_ordered_by_time")
class MergesAtTheEnd(PlainMemory):
    def rewrite(self, changes, meant):
        ids = {message.id for message in meant}
        rows = [changes.apply(message) if message.id in ids else message for message in self.rows]
        return sorted(rows, key=lambda message: message.id in ids and changes.session_id is not None)


@caught_by("test_a_rename_moves_all_and_keeps_the_order")
class RenamesByTime(PlainMemory):
    def rewrite(self, changes, meant):
        rows = super().rewrite(changes, meant)
        return rows if changes.session_id is None else sorted(rows, key=lambda message: message.timestamp)


@caught_by("test_other_sessions_keep_their_order_and_their_place")
class MergesDisturbOthers(PlainMemory):
    def rewrite(self, changes, meant):
        rows = super().rewrite(changes, meant)
        moved = changes.session_id is not None and any(m.session_id != changes.session_id for m in meant)
        return sorted(rows, key=lambda message: message.timestamp) if moved and len(rows) > 4 else rows


@caught_by("test_what_comes_after_a_merge_stands_last")
class MergedSessionsStaySorted(PlainMemory):
    def __init__(self):
        super().__init__()
        self.merged = set()

    def rewrite(self, changes, meant):
        self.merged.add(changes.session_id)
        return super().rewrite(changes, meant)

    def select(self, query):
        found = super().select(query)
        return sorted(found, key=lambda m: m.timestamp) if query.session_id in self.merged else found


@caught_by("test_deletions_show")
class ListsWhatWasDeleted(PlainMemory):
    def __init__(self):
        super().__init__()
        self.ever = []

    def append_messages(self, messages):
        self.ever += messages
        return super().append_messages(messages)

    def list_sessions(self, query):
        return query.select(self.ever)


@caught_by("test_the_latest_append_comes_first")
class ListsByTime(PlainMemory):
    def list_sessions(self, query):
        return sorted(super().list_sessions(query), key=lambda summary: summary.last_at, reverse=True)


@caught_by("test_one_flow_is_counted_alone")
class CountsAllFlows(PlainMemory):
    def list_sessions(self, query):
        listed = {s.session_id for s in super().list_sessions(query)}
        every = super().list_sessions(SessionQuery(owner=query.owner))
        return [summary for summary in every if summary.session_id in listed]


@caught_by("test_a_page_goes_on_while_others_become_active")
class PagesByNumber(PlainMemory):
    def __init__(self):
        super().__init__()
        self.given = 0

    def list_sessions(self, query):
        skip = self.given if query.after is not None else 0
        found = super().list_sessions(SessionQuery(owner=query.owner))[skip:][: query.limit]
        self.given = skip + len(found)
        return found


# Filters and search


@caught_by("test_exclude_run_keeps_messages_of_no_run")
class NullIsNotUnequal(PlainMemory):
    def select(self, query):
        return [m for m in super().select(query) if query.exclude_run is None or m.run_id is not None]


@caught_by("test_a_filter_is_never_read_as_a_pattern")
class SessionIdsArePatterns(PlainMemory):
    def select(self, query):
        found = super().select(query.replace(session_id=None))
        return [m for m in found if query.session_id is None or fnmatch.fnmatchcase(m.session_id, query.session_id)]


@caught_by("test_since_and_until_bound_the_timestamp")
class UntilIsIncluded(PlainMemory):
    def select(self, query):
        found = super().select(query.replace(until=None))
        return [m for m in found if query.until is None or m.timestamp <= query.until]


@caught_by("test_search_finds_all_words_anywhere_in_any_case")
class SearchesForThePhrase(PlainMemory):
    def select(self, query):
        wanted = fold(query.text or "")
        return [m for m in super().select(query.replace(text=None)) if wanted in fold(m.text)]


@caught_by("test_search_finds_all_words_anywhere_in_any_case")
class SearchesForWholeWords(PlainMemory):
    def select(self, query):
        found = super().select(query.replace(text=None))
        return [m for m in found if set(query.words()) <= set(fold(m.text).replace(",", "").split())]


@caught_by("test_search_follows_changes_in_a_large_store")
class SearchIndexIsNeverUpdated(PlainMemory):
    def __init__(self):
        super().__init__()
        self.index = {}

    def select(self, query):
        for message in self.rows:
            self.index.setdefault(message.id, fold(message.text))
        found = super().select(query.replace(text=None, limit=None))
        return query.window([m for m in found if all(word in self.index[m.id] for word in query.words())])


# Threads, processes, crashes


class MeetingThreads(Meets, PlainMemory):
    """Its threads wait for each other where one is careless."""

    def __init__(self):
        super().__init__()
        self.meeting = ThreadMeeting()


@caught_by("test_no_message_is_lost_doubled_or_out_of_order")
class WritesWithoutALock(MeetingThreads):
    readers = THREADS

    def append_messages(self, messages):
        rows = list(self.rows)
        self.has_read()
        self.rows = [*rows, *map(self.take_in, messages)]
        return list(messages)


@caught_by("test_one_of_many_gets_an_id")
class LooksFirstAndWritesLater(MeetingThreads):
    readers = THREADS

    def append_messages(self, messages):
        self.refuse_taken(messages)
        self.has_read()
        with self.lock:
            self.save([*self.rows, *map(self.take_in, messages)])
        return list(messages)


@caught_by("test_nobody_sees_half_a_call")
class ShowsHalfACall(MeetingThreads):
    """Its first calls wait for a reader between two messages."""

    def append_messages(self, messages):
        for message in messages:
            PlainMemory.append_messages(self, [message])
            self.meeting.mark("half")
            self.meeting.wait_for("seen")
        return list(messages)

    def fetch_messages(self, query):
        half = self.meeting.count("half")
        found = super().fetch_messages(query)
        self.was_looked_at(half or set(Counter(message.run_id for message in found).values()) - {5})
        return found

    def list_sessions(self, query):
        half = self.meeting.count("half")
        found = super().list_sessions(query)
        self.was_looked_at(half or any(summary.count % 5 for summary in found))
        return found

    def was_looked_at(self, shown):
        # By a reader who began when half of a call was there, or has seen it and asks no more.
        if shown:
            self.meeting.mark("seen")


@caught_by("test_one_bad_call_among_many_fails_alone")
class RefusesTheNextOneToo(PlainMemory):
    """The next good one, that is: another bad one fails anyway."""

    failed: FlowRunnerError | None = None

    def append_messages(self, messages):
        try:
            self.refuse_taken(messages)
        except FlowRunnerError as error:
            self.failed = error
            raise
        failed, self.failed = self.failed, None
        if failed is not None:
            raise failed
        return super().append_messages(messages)


@caught_by("test_the_list_of_sessions_knows_other_processes")
class SaysItIsShared(PlainMemory):
    shared = True


@caught_by("test_messages_survive_closing_and_opening")
class SaysItIsDurable(PlainMemory):
    durable = True


@caught_by("test_a_kill_loses_doubles_and_disorders_nothing")
class WritesWhenClosed(PlainFile):
    def save(self, rows):
        self.rows = rows

    def close(self):
        PlainFile.save(self, self.rows)
        return True


@caught_by("test_a_kill_loses_doubles_and_disorders_nothing")
class WritesTwoCallsLater(PlainFile):
    """Of any two calls that were acknowledged last, the second is not on disk, whenever the kill comes."""

    def __init__(self, path):
        super().__init__(path)
        self.waiting = [self.rows, self.rows]

    def save(self, rows):
        super().save(self.waiting.pop(0))
        self.waiting.append(rows)
        self.rows = rows


@caught_by("test_a_kill_loses_doubles_and_disorders_nothing")
class MovesOneByOne(PlainFile):
    """Takes its time with a move, so that a kill comes in the middle of one; there are many kills, in case it does not.

    A kill before the first message has moved, or after the last one, shows nothing.
    """

    kills = 60

    def update_messages(self, query, changes):
        return [self.update_one(query, str(message.id), changes) for message in self.select(query)]

    def update_one(self, query, name, changes):
        changed = super().update_messages(MessageQuery(owner=query.owner, ids=(name,)), changes)
        time.sleep(0.02)
        return changed[0]


@caught_by("test_random_histories_agree_with_a_plain_list")
class ForgetsOneFilterTogetherWithAnother(PlainMemory):
    def select(self, query):
        if query.sender is not None and query.flow_id is not None and query.limit is not None:
            query = query.replace(sender=None)
        return super().select(query)


@caught_by("test_random_histories_agree_with_a_plain_list")
class MergesIntoDisorder(PlainMemory):
    merges = 0

    def rewrite(self, changes: MessageChanges, meant):
        rows = super().rewrite(changes, meant)
        self.merges += changes.session_id is not None and bool(meant)
        return rows[1:] + rows[:1] if self.merges % 2 else rows


# Filters that one verb forgets, and verbs that get in each other's way


def forget(verb: str, name: str, **members):
    """Plant a backend whose one verb forgets one filter."""
    operation = {"fetch": "fetch_messages", "update": "update_messages", "delete": "delete_messages"}[verb]

    def forgetting(self, query, *more):
        if all(getattr(query, member) not in (None, 0) for member in members):
            query = query.replace(**members)
        return getattr(PlainMemory, operation)(self, query, *more)

    backend = type(f"{verb.title()}Forgets{name.title().replace('_', '').replace(' ', '')}", (PlainMemory,), {})
    setattr(backend, operation, forgetting)
    caught_by(f"test_a_verb_reaches_what_the_filter_means[{name}-{verb}]")(backend)


for _verb in ("fetch", "update", "delete"):
    for _name in (
        "session_id",
        "flow_id",
        "context_id",
        "sender",
        "sender_name",
        "category",
        "error",
        "run_id",
        "exclude_run",
        "text",
        "since",
        "until",
        "ids",
    ):
        forget(_verb, _name, **{_name: None})
    forget(_verb, "owner", owner=EVERY_OWNER)


class EditsWithoutALock(MeetingThreads):
    """Reads, waits and writes; appends and deletions keep to the lock."""

    def update_messages(self, query, changes):
        rows, meant = list(self.rows), self.select(query)
        self.has_read()
        ids = {message.id for message in meant}
        self.rows = [changes.apply(message) if message.id in ids else message for message in rows]
        return [message for message in self.rows if message.id in ids]


class DeletesWithoutALock(MeetingThreads):
    def delete_messages(self, query):
        rows, ids = list(self.rows), {message.id for message in self.select(query)}
        self.has_read()
        self.rows = [message for message in rows if message.id not in ids]
        return len(ids)


@caught_by("test_edits_beside_appends_lose_nothing")
class EditsOverAppends(EditsWithoutALock):
    careful, readers = "append", 1


@caught_by("test_edits_beside_edits_are_all_done")
class EditsOverEdits(EditsWithoutALock):
    pass


@caught_by("test_deletions_beside_edits_stay_deleted")
class EditsOverDeletions(EditsWithoutALock):
    # All who edit are to have read what is deleted: who came later would put it right.
    careful, readers = "delete", WRITERS - 1


@caught_by("test_deletions_beside_appends_lose_nothing")
class DeletesOverAppends(DeletesWithoutALock):
    careful, readers = "append", 1


@caught_by("test_a_message_is_deleted_once")
class DeletesTwice(DeletesWithoutALock):
    pass


# Several processes


class ThreadsOnly(Meets, SharedFile):
    """Its deletions, or edits or appends, keep threads apart and not processes."""

    careless = ""

    def __init__(self, path):
        self.meeting = ProcessMeeting(path)
        super().__init__(path)

    def update_messages(self, query, changes):
        if self.careless != "update":
            return super().update_messages(query, changes)
        with self.threads:
            self.reload()
            meant = self.select(query)
            rows = self.rewrite(changes, meant)
            self.has_read()
            self.save(rows)
            ids = {message.id for message in meant}
            return [message for message in self.rows if message.id in ids]

    def delete_messages(self, query):
        if self.careless != "delete":
            return super().delete_messages(query)
        with self.threads:
            self.reload()
            ids = {message.id for message in self.select(query)}
            rows = [message for message in self.rows if message.id not in ids]
            self.has_read()
            self.save(rows)
            return len(ids)

    def append_messages(self, messages):
        if self.careless != "append":
            return super().append_messages(messages)
        with self.threads:
            self.reload()
            self.refuse_taken(messages)
            self.has_read()
            self.save([*self.rows, *messages])
        return list(messages)

    def save(self, rows):
        # Several processes that write at once must not fail by the name of the file beside.
        beside = self.path.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps([message.to_record() for message in rows]))
        beside.replace(self.path)
        self.rows = rows


@caught_by("test_processes_that_write_together_undo_nothing[deletions beside appends]")
class ProcessesDeleteOverAppends(ThreadsOnly):
    careless, careful, readers = "delete", "append", 1


@caught_by("test_processes_that_write_together_undo_nothing[edits beside edits]")
class ProcessesEditOverEdits(ThreadsOnly):
    careless = "update"


@caught_by("test_processes_that_write_together_undo_nothing[deletions beside edits]")
class ProcessesEditOverDeletions(ThreadsOnly):
    careless, careful, readers = "update", "delete", WRITERS - 1


@caught_by("test_processes_that_write_together_undo_nothing[deletions beside deletions]")
class ProcessesDeleteTwice(ThreadsOnly):
    careless = "delete"


@caught_by("test_processes_lose_double_and_disorder_nothing")
class ProcessesAppendOverAppends(ThreadsOnly):
    careless, readers = "append", PROCESSES


@caught_by("test_one_process_of_many_gets_an_id")
class IdsAreTakenPerProcess(SharedFile):
    def __init__(self, path):
        super().__init__(path)
        self.taken = set()

    def refuse_taken(self, messages):
        ids = {message.id for message in messages}
        if ids & self.taken:
            super().refuse_taken(messages)
        self.taken |= ids


@caught_by("test_children_of_a_process_can_go_on")
class ChildrenAppendToWhatTheParentHad(SharedFile):
    def reload(self):
        if not hasattr(self, "pid"):
            self.pid = os.getpid()
        if self.pid == os.getpid() or not self.rows:
            super().reload()


@caught_by("test_two_backends_in_one_process_are_one_store")
class ReadsWhenItIsOpened(SharedFile):
    def reload(self):
        return


def remember(operation: str, test: str):
    """Plant a backend that remembers the answers of one operation until it writes itself."""

    def answer(self, query):
        if query not in self.answers:
            self.answers[query] = getattr(SharedFile, operation)(self, query)
        return list(self.answers[query])

    def save(self, rows):
        self.answers.clear()
        SharedFile.save(self, rows)

    def begin(self, path):
        SharedFile.__init__(self, path)
        self.answers = {}

    name = f"Remembers{operation.title().replace('_', '')}{test.rpartition('[')[2].rstrip(']').title()}"
    caught_by(test)(type(name, (SharedFile,), {operation: answer, "save": save, "__init__": begin}))


for _step in ("append", "edit", "rename", "delete"):
    remember("fetch_messages", f"test_no_answer_is_stale_after_another_process_wrote[{_step}]")
for _step in ("append", "rename"):
    remember("list_sessions", f"test_no_answer_is_stale_after_another_process_wrote[{_step}]")


@caught_by("test_no_answer_is_stale_after_another_process_wrote[edit]")
class SearchIndexOfOneProcess(SharedFile):
    def __init__(self, path):
        super().__init__(path)
        self.index = {}

    def select(self, query):
        for message in self.rows:
            self.index.setdefault(message.id, fold(message.text))
        found = super().select(query.replace(text=None, limit=None))
        return query.window([m for m in found if all(word in self.index[m.id] for word in query.words())])


# Patterns


class Searching(PlainMemory):
    """Looks for words in a way of its own."""

    def finds(self, word: str, text: str) -> bool:
        raise NotImplementedError

    def select(self, query):
        found = super().select(query.replace(text=None, limit=None, offset=0))
        words = (query.text or "").split()
        return query.window([m for m in found if all(self.finds(word, m.text) for word in words)])


class Listing(PlainMemory):
    """Looks for what ids contain in a way of its own."""

    def contains(self, wanted: str, session_id: str) -> bool:
        raise NotImplementedError

    def list_sessions(self, query):
        every = super().list_sessions(SessionQuery(owner=query.owner))
        return [s for s in every if query.contains is None or self.contains(query.contains, s.session_id)]


def like(word: str, text: str) -> bool:
    pattern = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in fold(word))
    return re.search(pattern, fold(text), re.DOTALL) is not None


def without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", fold(text)) if not unicodedata.combining(c))


def plain_forms(text: str) -> str:
    return unicodedata.normalize("NFKC", fold(text))


@caught_by("test_a_search_takes_its_words_letter_by_letter[[]")
class SearchesByGlob(Searching):
    def finds(self, word, text):
        return fnmatch.fnmatchcase(fold(text), f"*{fold(word)}*")


@caught_by("test_a_search_takes_its_words_letter_by_letter[?]")
class SearchesByRegularExpression(Searching):
    def finds(self, word, text):
        try:
            return re.search(fold(word), fold(text)) is not None
        except re.error:
            return False


@caught_by("test_a_search_takes_its_words_letter_by_letter[*]")
class SearchesByPrefix(Searching):
    def finds(self, word, text):
        return fold(word).rstrip("*") in fold(text)


@caught_by("test_a_search_takes_its_words_letter_by_letter[%]")
class SearchesByLike(Searching):
    def finds(self, word, text):
        return like(word, text)


@caught_by("test_a_search_takes_its_words_letter_by_letter[accent]")
class SearchesWithoutAccents(Searching):
    def finds(self, word, text):
        return without_accents(word) in without_accents(text)


@caught_by("test_a_search_takes_its_words_letter_by_letter[wide letters]")
class SearchesCompatibleForms(Searching):
    def finds(self, word, text):
        return plain_forms(word) in plain_forms(text) or not plain_forms(word)


@caught_by("test_a_search_takes_its_words_letter_by_letter[any case of sharp s]")
class SearchesInLowerCase(Searching):
    def finds(self, word, text):
        return word.lower() in text.lower()


@caught_by("test_a_search_takes_its_words_letter_by_letter[two letters]")
class SearchesByThreeLetters(Searching):
    def finds(self, word, text):
        return len(word) > 2 and fold(word) in fold(text)


@caught_by("test_a_search_takes_its_words_letter_by_letter[minus]")
class SearchesInALanguage(Searching):
    def finds(self, word, text):
        return (fold(word[1:]) not in fold(text)) if word.startswith("-") else fold(word) in fold(text)


@caught_by("test_a_long_text_is_searched_to_its_end")
class SearchesTheBeginning(Searching):
    def finds(self, word, text):
        return fold(word) in fold(text[:10_000])


@caught_by("test_a_search_takes_its_words_letter_by_letter[long]")
class SearchesTheBeginningOfWords(Searching):
    def finds(self, word, text):
        return fold(word)[:1000] in fold(text)


@caught_by("test_every_white_space_separates_words")
class SeparatesWordsAtBlanks(Searching):
    def select(self, query):
        found = super().select(query.replace(text=None, limit=None, offset=0))
        words = re.split(r"[ \t\n]+", fold(query.text or "").strip())
        return query.window([m for m in found if all(word in fold(m.text) for word in words)])


@caught_by("test_a_large_store_searches_letter_by_letter_too")
class SearchesALargeStoreByLike(Searching):
    def finds(self, word, text):
        return like(word, text) if len(self.rows) > 2000 else fold(word) in fold(text)


@caught_by("test_contains_takes_its_text_letter_by_letter[[]")
class ListsByGlob(Listing):
    def contains(self, wanted, session_id):
        return fnmatch.fnmatchcase(fold(session_id), f"*{fold(wanted)}*")


@caught_by("test_contains_takes_its_text_letter_by_letter[_]")
class ListsByLike(Listing):
    def contains(self, wanted, session_id):
        return like(wanted, session_id)


@caught_by("test_contains_takes_its_text_letter_by_letter[decomposed]")
class ListsWithoutAccents(Listing):
    def contains(self, wanted, session_id):
        return without_accents(wanted) in without_accents(session_id)


@caught_by("test_contains_takes_its_text_letter_by_letter[circled number]")
class ListsCompatibleForms(Listing):
    def contains(self, wanted, session_id):
        return plain_forms(wanted) in plain_forms(session_id)


@caught_by("test_contains_takes_its_text_letter_by_letter[any case of sigma]")
class ListsInCase(Listing):
    def contains(self, wanted, session_id):
        return wanted in session_id


@caught_by("test_blanks_in_contains_count")
class ListsWithoutBlanks(Listing):
    def contains(self, wanted, session_id):
        return fold(wanted.strip()) in fold(session_id)


# Values


def map_json(value, change):
    """Return a JSON value with a change made to everything in it, from the inside."""
    if isinstance(value, dict):
        return change({name: map_json(inner, change) for name, inner in value.items()})
    if isinstance(value, list):
        return change([map_json(inner, change) for inner in value])
    return change(value)


def spoil(name: str, test: str, change):
    """Plant a backend that makes JSON values into others."""

    def take_in(self, message):
        message = PlainMemory.take_in(self, message)
        metadata = message.session_metadata
        spoilt = None if metadata is None else map_json(dict(metadata), change)
        return message.replace(session_metadata=spoilt)

    caught_by(f"test_a_json_value_comes_back_as_it_was[{test}]")(type(name, (PlainMemory,), {"take_in": take_in}))


def _whole(value):
    return int(value) if type(value) is float and value.is_integer() and abs(value) < 2**63 else value


def _double(value):
    return int(float(value)) if type(value) is int and abs(value) > 2**53 else value


def _signed(value):
    return value - 2**64 if type(value) is int and value > 2**63 - 1 else value


def _paths(value):
    return {k.replace(".", "_"): v for k, v in value.items()} if isinstance(value, dict) else value


def _operators(value):
    return {k.lstrip("$"): v for k, v in value.items()} if isinstance(value, dict) else value


def _as_set(value):
    return list({json.dumps(v): v for v in value}.values()) if isinstance(value, list) else value


def _sorted(value):
    return sorted(value, key=json.dumps) if isinstance(value, list) else value


def _unmarked(value):
    return value.removeprefix("\ufeff") if isinstance(value, str) else value


def _cut_text(length):
    return lambda value: value[:length] if isinstance(value, str) else value


def _truth(value):
    return int(value) if isinstance(value, bool) else value


def _guess(value):
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _full(value):
    return {k: v for k, v in value.items() if v not in (None, {}, [])} if isinstance(value, dict) else value


spoil("KnowsWholeNumbers", "1 and 1.0", _whole)
spoil("KnowsNoMinusZero", "-0.0 and 0", lambda value: 0.0 if value == 0 and type(value) is float else value)
spoil("KnowsDoublesOnly", "64-bit numbers", _double)
spoil("KnowsSignedNumbers", "64-bit numbers", _signed)
spoil("RoundsNumbers", "far numbers", lambda value: round(value, 10) if type(value) is float else value)
spoil("TakesNamesForPaths", "names with . and $", _paths)
spoil("TakesNamesForOperators", "names with . and $", _operators)
spoil("KeepsListsAsSets", "order and doubles of a list", _as_set)
spoil("SortsLists", "order and doubles of a list", _sorted)
spoil("DropsByteOrderMarks", "byte order mark", _unmarked)
spoil("CutsValuesAt4096", "4,096 characters", _cut_text(4096))
spoil("CutsValuesAt65535", "65,536 characters", _cut_text(65_535))
spoil("KnowsNoBooleans", "numbers and booleans", _truth)
spoil("GuessesNumbers", "numbers and texts", _guess)
spoil("DropsEmptyThings", "empty things", _full)


def rewrite_texts(name: str, test: str, field: str, change):
    """Plant a backend that makes the texts of one field into others."""

    def take_in(self, message):
        message = PlainMemory.take_in(self, message)
        return message.replace(**{field: change(getattr(message, field))})

    caught_by(f"test_a_text_comes_back_in_every_field[{test}]")(type(name, (PlainMemory,), {"take_in": take_in}))


rewrite_texts("CutsTextsAt4096", "4,097 wide characters", "text", lambda text: text[:4096])
rewrite_texts("CutsBytesAt4096", "4,097 wide characters", "context_id", lambda text: text.encode()[:4096].decode())
rewrite_texts("CutsNamesAt255", "4,096 characters", "sender_name", lambda text: text[:255])
rewrite_texts("StripsTexts", "blanks around", "text", str.strip)
rewrite_texts("StripsNamesAtTheEnd", "blank alone", "sender", str.rstrip)
rewrite_texts("TidiesLineEnds", "ends of lines", "text", lambda text: text.replace("\r\n", "\n"))
rewrite_texts("ComposesTexts", "decomposed", "category", lambda text: unicodedata.normalize("NFC", text))
rewrite_texts("WritesPlainForms", "compatibility form", "text", lambda text: unicodedata.normalize("NFKC", text))
rewrite_texts("DropsMarksOfTexts", "byte order mark", "text", lambda text: text.lstrip("\ufeff"))


@caught_by("test_a_duration_comes_back_as_it_was")
class RoundsDurations(PlainMemory):
    def take_in(self, message):
        duration = message.duration
        return super().take_in(message).replace(duration=None if duration is None else round(duration, 3))


# Case


def ignore_case(field: str):
    """Plant a backend that takes names in one field for the same in any case."""

    def select(self, query):
        wanted = query.ids if field == "ids" else getattr(query, field)
        if wanted is None or not isinstance(wanted, (str, tuple)):
            return query.select(self.rows)
        names = {fold(name) for name in ((wanted,) if isinstance(wanted, str) else wanted)}
        found = query.replace(**{field: EVERY_OWNER if field == "owner" else None}).select(self.rows)
        return [m for m in found if fold(getattr(m, "id" if field == "ids" else field) or "") in names]

    name = f"IgnoresCaseOf{field.title().replace('_', '')}"
    test = f"test_case_counts_in_every_field[{'id' if field == 'ids' else field}]"
    caught_by(test)(type(name, (PlainMemory,), {"select": select}))


for _name in ("session_id", "flow_id", "context_id", "sender", "sender_name", "category", "run_id", "owner", "ids"):
    ignore_case(_name)


@caught_by("test_case_counts_in_exclude_run")
class ExcludesRunsInAnyCase(PlainMemory):
    def select(self, query):
        found = super().select(query.replace(exclude_run=None))
        return [m for m in found if query.exclude_run is None or fold(m.run_id or "") != fold(query.exclude_run)]


@caught_by("test_case_counts_in_cursors")
class CursorsInAnyCase(PlainMemory):
    def select(self, query):
        for side in ("before", "after"):
            cursor = getattr(query, side)
            same = [m.id for m in self.rows if cursor is not None and fold(str(m.id)) == fold(cursor)]
            query = query.replace(**{side: same[0] if same else cursor})
        return super().select(query)


@caught_by("test_case_counts_in_the_list_of_sessions")
class ListsOneOfAllCases(PlainMemory):
    def list_sessions(self, query):
        found = super().list_sessions(query)
        return list({fold(summary.session_id): summary for summary in reversed(found)}.values())[::-1]


@caught_by("test_a_move_to_another_case_is_a_move")
class StaysWhereOnlyCaseChanges(PlainMemory):
    def rewrite(self, changes, meant):
        same = {m.id for m in meant if fold(m.session_id) == fold(changes.session_id or "")}
        rows = super().rewrite(changes, meant)
        old = {message.id: message for message in self.rows}
        return [old[message.id] if message.id in same else message for message in rows]


# Caps, cursors, windows, aliasing, pages


@caught_by("test_more_than_a_thousand_sessions_are_all_listed")
class ListsAThousandSessions(PlainMemory):
    def list_sessions(self, query):
        return super().list_sessions(query)[:1000]


@caught_by("test_more_than_ten_thousand_messages_are_all_reached")
class FetchesTenThousandMessages(PlainMemory):
    def fetch_messages(self, query):
        return super().fetch_messages(query.replace(limit=min(query.limit or 10_000, 10_000)))


@caught_by("test_more_than_ten_thousand_messages_are_all_reached")
class DeletesTenThousandMessages(PlainMemory):
    def delete_messages(self, query):
        return super().delete_messages(query.replace(limit=10_000))


class NothingWantedNothingAsked(PlainMemory):
    """Looks at no cursor where nothing is wanted."""

    def select(self, query):
        return [] if query.limit == 0 else super().select(query)


for _side in ("before", "after"):
    for _cursor in ("never there", "deleted", "foreign"):
        caught_by(f"test_a_cursor_that_is_gone_is_an_error_also_where_nothing_is_wanted[{_side}-{_cursor}]")(
            type(f"AsksNobody{_side.title()}{_cursor.title().replace(' ', '')}", (NothingWantedNothingAsked,), {})
        )


@caught_by("test_a_page_behind_what_is_gone_is_an_error_also_where_nothing_is_wanted")
class ListsNothingWithoutAsking(PlainMemory):
    def list_sessions(self, query):
        return [] if query.limit == 0 else super().list_sessions(query)


@caught_by("test_windows_are_counted_anew_after_a_move[merge]")
class WindowsByOldPlaces(PlainMemory):
    """Fetches all in the right order, and counts windows in the order of append."""

    def __init__(self):
        super().__init__()
        self.places = {}

    def append_messages(self, messages):
        stored = super().append_messages(messages)
        self.places |= {message.id: len(self.places) + n for n, message in enumerate(messages)}
        return stored

    def select(self, query):
        found = super().select(query.replace(limit=None, offset=0))
        if query.limit is None and not query.offset:
            return found
        ids = {m.id for m in query.window(sorted(found, key=lambda m: self.places[m.id]))}
        return [message for message in found if message.id in ids]


@caught_by("test_windows_are_counted_anew_after_a_move[rename]")
class RemembersWindows(PlainMemory):
    """Remembers the newest of a session until something is appended."""

    def __init__(self):
        super().__init__()
        self.windows = {}

    def append_messages(self, messages):
        self.windows.clear()
        return super().append_messages(messages)

    def fetch_messages(self, query):
        if query.limit is None:
            return super().fetch_messages(query)
        key = query.replace(session_id="", before=None)
        return self.windows.setdefault(key, super().fetch_messages(query))


def hand_out(name: str, answer: str, meets):
    """Plant a backend that hands out its own where a query is of some kind."""

    def fetch_messages(self, query):
        return self.select(query) if meets(query) else PlainMemory.fetch_messages(self, query)

    caught_by(f"test_an_answer_belongs_to_who_asked[{answer}]")(
        type(name, (PlainMemory,), {"fetch_messages": fetch_messages})
    )


hand_out("HandsOutItsOwnById", "fetched by id", lambda query: query.ids is not None)
hand_out("HandsOutItsOwnNewest", "the session's newest", lambda query: query.limit is not None)
hand_out("HandsOutWhatItFound", "found by search", lambda query: query.text is not None)
hand_out("HandsOutToAdministrators", "of every owner", lambda query: query.owner is EVERY_OWNER)


@caught_by("test_an_answer_belongs_to_who_asked[fetched]")
class CopiesTheOutside(PlainMemory):
    def give_out(self, message):
        return message.replace(properties=dict(message.properties), content_blocks=tuple(message.content_blocks))


@caught_by("test_an_answer_belongs_to_who_asked[updated]")
class HandsOutWhatItUpdated(PlainMemory):
    def update_messages(self, query, changes):
        ids = {message.id for message in super().update_messages(query, changes)}
        return [message for message in self.rows if message.id in ids]


@caught_by("test_an_answer_belongs_to_who_asked[appended]")
class KeepsWhatItReturns(PlainMemory):
    def append_messages(self, messages):
        super().append_messages(messages)
        return self.rows[-len(messages) :]


@caught_by("test_a_list_of_sessions_belongs_to_who_asked")
class HandsOutItsList(PlainMemory):
    def list_sessions(self, query):
        if not hasattr(self, "listed"):
            self.listed = super().list_sessions(query)
        return self.listed


@caught_by("test_every_owners_sessions_page_in_any_size")
class PagesBehindAnyOwner(PlainMemory):
    def list_sessions(self, query):
        return super().list_sessions(dataclasses.replace(query, after_owner=None))


@caught_by("test_every_owners_sessions_page_in_any_size")
class PagesEndOneEarly(PlainMemory):
    def list_sessions(self, query):
        found = super().list_sessions(query)
        return found if query.limit is None or query.after is None or len(found) == query.limit else found[:-1]


@caught_by("test_every_owners_messages_page_in_any_size")
class PagesOwnerByOwner(PlainMemory):
    def select(self, query):
        if query.owner is not EVERY_OWNER or query.after is None:
            return super().select(query)
        owner = next(message.owner for message in self.rows if message.id == query.after)
        return super().select(query.replace(owner=owner)) or super().select(query)


# Locks of sessions


@caught_by("test_a_lock_has_one_holder")
class LocksNobody(LeasedFile):
    def take(self, key, token):
        return True


@caught_by("test_a_lock_has_one_holder")
class LocksForTheSameProcessAgain(LeasedFile):
    """As advisory locks of a database, which the connection that has one may take again."""

    def make_token(self):
        return str(os.getpid())

    def take(self, key, token):
        return super().take(key, token) or self.change(lambda table: table[key][0] == token)


@caught_by("test_a_lock_has_one_holder")
class SaysNothingWhenEntered(LeasedFile):
    @contextmanager
    def hold(self, key, wait):
        with super().hold(key, wait):
            yield


@caught_by("test_a_lock_is_taken_when_it_is_entered")
class TakesTheLockWhenItIsMade(LeasedFile):
    def session_lock(self, owner, session_id, wait):
        stack = ExitStack()
        got = stack.enter_context(super().session_lock(owner, session_id, wait))

        @contextmanager
        def entered():
            with stack:
                yield got

        return entered()


@caught_by("test_a_session_is_locked_again_and_again")
class LeavesItsLockToTheLease(LeasedFile):
    def free(self, key, token):
        return


@caught_by("test_a_session_is_locked_again_and_again")
class RenewsWhatItHasLeft(LeasedFile):
    def renew(self, key, token):
        self.change(lambda table: table.update({key: (token, time.monotonic() + self.lease)}))
        return True

    def leave(self, key, token, got):
        super().leave(key, token, got)
        if got:
            self.renew(key, token)


@caught_by("test_who_did_not_get_a_lock_frees_nothing")
class FreesWhatItDidNotGet(LeasedFile):
    def leave(self, key, token, got):
        self.change(lambda table: table.pop(key, None))


@caught_by("test_a_block_that_fails_frees_its_lock")
class FreesOnlyAfterSuccess(LeasedFile):
    @contextmanager
    def hold(self, key, wait):
        token = self.make_token()
        got = self.wait_for(key, token, wait)
        yield got
        self.leave(key, token, got)


@caught_by("test_a_block_that_fails_frees_its_lock")
class SwallowsTheErrorOfTheBlock(LeasedFile):
    @contextmanager
    def hold(self, key, wait):
        with suppress(Exception), super().hold(key, wait) as got:
            yield got


@caught_by("test_who_waits_in_vain_is_told")
class WaitsForEver(LeasedFile):
    def wait_for(self, key, token, wait):
        return super().wait_for(key, token, 60)


@caught_by("test_who_waits_in_vain_is_told")
class RaisesWhereTheLockIsNotGot(LeasedFile):
    def wait_for(self, key, token, wait):
        if not super().wait_for(key, token, wait):
            raise MemoryFailed("The session is locked.")
        return True


@caught_by("test_who_waits_gets_the_lock_when_it_is_free")
class WaitsForNobody(LeasedFile):
    def wait_for(self, key, token, wait):
        return super().wait_for(key, token, 0)


@caught_by("test_locks_of_different_sessions_are_independent")
class LocksForAllOwners(LeasedFile):
    def key_of(self, owner, session_id):
        return session_id


@caught_by("test_locks_of_different_sessions_are_independent")
class LocksOwnerAndSessionRunTogether(LeasedFile):
    def key_of(self, owner, session_id):
        return owner + session_id


@caught_by("test_locks_of_different_sessions_are_independent")
class LocksOwnerColonSession(LeasedFile):
    def key_of(self, owner, session_id):
        return f"{owner}:{session_id}"


@caught_by("test_locks_of_different_sessions_are_independent")
class LocksSessionsInAnyCase(LeasedFile):
    def key_of(self, owner, session_id):
        return super().key_of(owner, session_id.casefold())


@caught_by("test_locks_of_different_sessions_are_independent")
class HasOneLockForAll(LeasedFile):
    def key_of(self, owner, session_id):
        return "lock"


@caught_by("test_threads_hold_a_lock_one_after_the_other")
class LooksFirstAndLocksLater(LeasedFile):
    """All four look before one of them takes it, and so in every round."""

    def __init__(self, path):
        super().__init__(path)
        self.looked = threading.Barrier(4)

    def take(self, key, token):
        held = self.change(lambda table: key in table)
        with suppress(threading.BrokenBarrierError):
            self.looked.wait(DEADLINE)
        if not held:
            self.change(lambda table: table.update({key: (token, time.monotonic() + self.lease)}))
        return not held


@caught_by("test_a_run_within_a_run_shares_its_turn")
class FreesAllLocksAtOnce(LeasedFile):
    def free(self, key, token):
        self.change(lambda table: table.clear())


@caught_by("test_a_lock_holds_in_other_processes")
class LocksOneProcess(LeasedFile):
    held: ClassVar[dict] = {}

    def change(self, work):
        return work(self.held.setdefault(str(self.path), {}))


@caught_by("test_a_lock_does_not_pass_to_the_child_of_a_fork")
class ChildrenShareTheLock(LeasedFile):
    def make_token(self):
        if not hasattr(self, "token"):
            self.token = super().make_token()
        return self.token

    def take(self, key, token):
        return super().take(key, token) or (
            os.getpid() != self.pid and self.change(lambda table: table[key][0] == token)
        )

    def session_lock(self, owner, session_id, wait):
        if not hasattr(self, "pid"):
            self.pid = os.getpid()
        return super().session_lock(owner, session_id, wait)


@caught_by("test_a_dead_holder_frees_its_lock")
class LocksOutliveTheirHolder(LeasedFile):
    lease = 1e9


class BriefLease(LeasedFile):
    """For the tests that wait for the end of a lease; in all others it is not to end, however slow the machine."""

    lease = 0.25


@caught_by("test_a_lease_is_renewed_while_the_lock_is_held")
class RenewsNothing(BriefLease):
    def renew(self, key, token):
        return True


@caught_by("test_a_lease_is_renewed_while_the_lock_is_held")
class RenewsOnce(BriefLease):
    def wait_for(self, key, token, wait):
        got = super().wait_for(key, token, wait)
        return got and self.renew(key, token)

    def keep(self, key, token, over):
        return


@caught_by("test_who_comes_back_late_leaves_the_next_holder_alone")
class FreesByKeyAlone(BriefLease):
    def free(self, key, token):
        self.change(lambda table: table.pop(key, None))


@caught_by("test_who_comes_back_late_leaves_the_next_holder_alone")
class HasOneTokenForAll(BriefLease):
    def make_token(self):
        return "held"


@caught_by("test_who_comes_back_late_leaves_the_next_holder_alone")
class RaisesWhenTheLeaseHasEnded(BriefLease):
    def leave(self, key, token, got):
        if got and not self.renew(key, token):
            raise MemoryFailed("The lock was lost.")
        super().leave(key, token, got)


# Servers that crash


class Server(PlainMemory):
    """A store on a server that the tests crash: what it has written there stays, what it has in memory goes."""

    durable = True
    disk: ClassVar[dict] = {}

    def __init__(self, path):
        super().__init__()
        self.path = str(path)
        self.rows = self.disk.get(self.path, [])

    def crash(self):
        self.rows = self.disk.get(self.path, [])

    def save(self, rows):
        super().save(rows)
        self.write(rows)

    def write(self, rows):
        self.disk[self.path] = rows


@caught_by("test_what_was_acknowledged_survives_a_crash_of_the_server")
class KeepsAllInTheServersMemory(Server):
    def write(self, rows):
        return


@caught_by("test_what_was_acknowledged_survives_a_crash_of_the_server")
class WritesOneCallLater(Server):
    waiting = ()

    def write(self, rows):
        super().write(list(self.waiting))
        self.waiting = rows


@caught_by("test_what_was_acknowledged_survives_a_crash_of_the_server")
class WritesAppendsAlone(Server):
    def write(self, rows):
        if len(rows) > len(self.disk.get(self.path, [])):
            self.disk[self.path] = [*self.disk.get(self.path, []), rows[-1]]


@caught_by("test_what_was_acknowledged_survives_a_crash_of_the_server")
class NeverFindsTheServerAgain(Server):
    crashed = False

    def crash(self):
        super().crash()
        self.crashed = True

    def select(self, query):
        if self.crashed:
            raise MemoryFailed("The connection is closed.")
        return super().select(query)
