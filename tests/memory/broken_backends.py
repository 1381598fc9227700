"""Backends with one mistake each, and the test of the kit that catches it.

Not collected by itself: ``test_kit_has_teeth.py`` runs it and wants every named test to fail.
"""

from __future__ import annotations

import fnmatch
import time
from contextlib import contextmanager
from datetime import timezone
from pathlib import Path

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
from tests.memory.plain import PlainFile, PlainMemory

#: The name of the test that must fail, by class of tests.
CAUGHT_BY: dict[str, str] = {}


def caught_by(test: str):
    """Make a class of tests for a broken backend: the group of the kit that holds the test."""
    name_of_test = test.partition("[")[0]
    group = next(base for base in MemoryBackendContract.__mro__ if name_of_test in vars(base))

    def decorate(backend: type) -> type:
        def open_backend(self, folder: Path):
            return backend(folder / "messages.json") if issubclass(backend, PlainFile) else backend()

        @contextmanager
        def break_writes(self, backend):
            backend.full = True
            yield
            backend.full = False

        name = "Test" + backend.__name__
        body = {"open_backend": open_backend, "break_writes": break_writes, "__module__": __name__, "shortens": False}
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


@caught_by("test_no_message_is_lost_doubled_or_out_of_order")
class WritesWithoutALock(PlainMemory):
    def append_messages(self, messages):
        rows = list(self.rows)
        time.sleep(0.0005)
        self.rows = [*rows, *map(self.take_in, messages)]
        return list(messages)


@caught_by("test_one_of_many_gets_an_id")
class LooksFirstAndWritesLater(PlainMemory):
    def append_messages(self, messages):
        self.refuse_taken(messages)
        time.sleep(0.002)
        with self.lock:
            self.save([*self.rows, *map(self.take_in, messages)])
        return list(messages)


@caught_by("test_nobody_sees_half_a_call")
class ShowsHalfACall(PlainMemory):
    def append_messages(self, messages):
        for message in messages:
            super().append_messages([message])
            time.sleep(0.0005)
        return list(messages)


@caught_by("test_one_bad_call_among_many_fails_alone")
class RefusesTheNextOneToo(PlainMemory):
    failed: FlowRunnerError | None = None

    def append_messages(self, messages):
        failed, self.failed = self.failed, None
        if failed is not None:
            raise failed
        try:
            return super().append_messages(messages)
        except FlowRunnerError as error:
            self.failed = error
            raise


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
class WritesLaterNowAndThen(PlainFile):
    def save(self, rows):
        if len(rows) % 4 == 0:
            super().save(rows)
        else:
            self.rows = rows


@caught_by("test_a_kill_loses_doubles_and_disorders_nothing")
class MovesOneByOne(PlainFile):
    def update_messages(self, query, changes):
        return [self.update_one(query, str(message.id), changes) for message in self.select(query)]

    def update_one(self, query, name, changes):
        changed = super().update_messages(MessageQuery(owner=query.owner, ids=(name,)), changes)
        time.sleep(0.01)
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
        "session_id", "flow_id", "context_id", "sender", "sender_name", "category", "error", "run_id", "exclude_run",
        "text", "since", "until", "ids",
    ):  # fmt: skip
        forget(_verb, _name, **{_name: None})
    forget(_verb, "owner", owner=EVERY_OWNER)


class EditsWithoutALock(PlainMemory):
    """Reads, waits and writes; appends and deletions keep to the lock."""

    def update_messages(self, query, changes):
        rows, meant = list(self.rows), self.select(query)
        time.sleep(0.001)
        ids = {message.id for message in meant}
        self.rows = [changes.apply(message) if message.id in ids else message for message in rows]
        return [message for message in self.rows if message.id in ids]


class DeletesWithoutALock(PlainMemory):
    def delete_messages(self, query):
        rows, ids = list(self.rows), {message.id for message in self.select(query)}
        time.sleep(0.001)
        self.rows = [message for message in rows if message.id not in ids]
        return len(ids)


@caught_by("test_edits_beside_appends_lose_nothing")
class EditsOverAppends(EditsWithoutALock):
    pass


@caught_by("test_edits_beside_edits_are_all_done")
class EditsOverEdits(EditsWithoutALock):
    pass


@caught_by("test_deletions_beside_edits_stay_deleted")
class EditsOverDeletions(EditsWithoutALock):
    pass


@caught_by("test_deletions_beside_appends_lose_nothing")
class DeletesOverAppends(DeletesWithoutALock):
    pass


@caught_by("test_a_message_is_deleted_once")
class DeletesTwice(DeletesWithoutALock):
    pass
