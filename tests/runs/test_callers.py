"""Processes that share a data folder know of each other's callers, so that a greedy one is greedy to all of them."""

import os
import time

import pytest

from flowrunner.runs import callers as module
from flowrunner.runs.callers import Callers
from flowrunner.runs.fairness import FairPlaces, Place


def ask(callers, group, now=None):
    """Ask as a run does."""
    if callers.note(group, time.monotonic() if now is None else now):
        callers.tell()


def ask_elsewhere(path, group):
    callers = Callers()
    callers.share(path)
    ask(callers, group)
    return callers._file >= 0


def in_child(work):
    """Do something in a fork; say whether it returned a true value."""
    child = os.fork()
    if child == 0:
        os._exit(0 if work() else 1)
    return os.waitpid(child, 0)[1] == 0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "callers"


@pytest.fixture
def make(path, monkeypatch):
    # What is told holds until the end of a test, however slow the machine is.
    monkeypatch.setattr(module, "RECENT", 1000.0)
    monkeypatch.setattr(module, "_LOOK", 0.0)
    made = []

    def make():
        made.append(Callers())
        made[-1].share(path)
        return made[-1]

    yield make
    for callers in made:
        callers.close()


def asks_another(callers, group):
    return callers.others_ask(group, time.monotonic())


def test_a_caller_who_asks_another_process_counts_and_oneself_does_not(make, path):
    here = make()
    ask(here, "greedy")
    assert not asks_another(here, "greedy")
    for group, others in (("greedy", False), ("polite", True)):
        assert in_child(lambda group=group: ask_elsewhere(path, group))
        assert asks_another(here, "greedy") is others
    assert path.stat().st_mode & 0o777 == 0o600


def test_who_crowds_in_one_process_is_known_by_those_who_ask_another(make):
    here, there = make(), make()
    places = FairPlaces(100, callers=here)
    here.share(here._path)
    for _ in range(20):
        assert places.take(Place("greedy"))
    assert not places.crowds("greedy") and not places.gives_way()
    ask(there, "polite")
    assert places.crowds("greedy") and places.gives_way()
    # This process has somebody of its own to serve first.
    assert places.take(Place("another"))
    assert places.crowds("greedy") and not places.gives_way()


@pytest.mark.parametrize("asked", [("a", "b"), ("b", "a"), ("a", "b", "c", "a"), ("c", "a", "a", "a", "b", "b")])
def test_two_callers_are_enough_to_say_of_anybody_whether_somebody_else_asks(make, asked):
    here, there = make(), make()
    now = time.monotonic()
    for number, group in enumerate(asked):
        ask(there, group, now + number)
    for group in ("a", "b", "c", "d"):
        assert here.others_ask(group, now) and there.others_ask(group, now)


def test_what_was_told_is_told_again_only_after_a_while(make):
    here, told = make(), []
    for number in range(1000):
        # A thousand runs in a second, of one caller and then of three.
        now = 5.0 + number / 1000
        group = "a" if number < 500 else "abc"[number % 3]
        if here.note(group, now):
            here._told = here._asked
            told.append(now)
    assert len(told) <= 6
    assert told[:2] == [5.0, pytest.approx(5.251)]
    # Somebody new is told of at once.
    assert told[2] == pytest.approx(5.5, abs=0.003)


def test_what_is_old_is_not_believed(make, monkeypatch):
    here, there = make(), make()
    ask(there, "polite")
    assert asks_another(here, "greedy")
    monkeypatch.setattr(module, "RECENT", 2.0)
    now = time.monotonic()
    assert not here.others_ask("greedy", now + 2.5)
    # Since the machine started again, its clock is behind.
    assert not here.others_ask("greedy", now - 1000.0)


def test_a_forked_process_begins_with_nobody_and_leaves_its_parents_word_alone(make):
    here = make()
    places = FairPlaces(100, callers=here)
    here.share(here._path)
    assert places.take(Place("parent"))

    def in_fork():
        before = not here._asked[0] and here.others_ask("child", time.monotonic())
        return before and places.take(Place("child"))

    assert in_child(in_fork)
    assert asks_another(here, "parent")
    assert [row[0] == here._mark for row in here._read() if row[0]].count(True) == 1
    assert sum(1 for row in here._read() if row[0]) == 2


def test_many_processes_have_a_slot_each_and_one_too_many_is_not_heard(make, monkeypatch):
    there = [make() for _ in range(module._SLOTS)]
    for number, callers in enumerate(there):
        ask(callers, f"caller {number}")
    assert len({row[0] for row in there[0]._read()}) == module._SLOTS
    late = make()
    ask(late, "late")
    assert "late" not in [row[1] for row in there[0]._read()] and asks_another(late, "late")
    # Who has told nothing for long makes room.
    monkeypatch.setattr(module, "_KEPT", -1.0)
    late._told = module._NOBODY
    ask(late, "late")
    assert late._is_ours()


def test_a_slot_that_became_anothers_is_not_written_over(make):
    here, there = make(), make()
    ask(here, "a")
    ask(there, "b")
    here._told = module._NOBODY
    there._mark = here._mark ^ (1 << 40)
    there._slot = here._slot
    there._write(module._TOLD.pack(there._mark, 7, time.monotonic(), 0.0))
    ask(here, "a")
    assert here._is_ours() and there._is_ours()


def test_who_closes_is_gone_at_once(make):
    here, there = make(), make()
    ask(there, "polite")
    assert asks_another(here, "greedy")
    there.close()
    there.close()
    assert not asks_another(here, "greedy")
    assert there._file == -1


@pytest.mark.parametrize("kind", ["missing folder", "a folder", "not ours"])
def test_where_the_file_cannot_be_made_each_process_knows_its_own_callers(make, tmp_path, kind, monkeypatch):
    here, place = make(), tmp_path / "place"
    if kind == "a folder":
        place.mkdir()
    elif kind == "not ours":
        monkeypatch.setattr(module.os, "open", refuse)
    here.share(place / "callers" if kind == "missing folder" else place)
    ask(here, "greedy")
    assert not asks_another(here, "greedy")
    ask(here, "polite")
    assert asks_another(here, "greedy")


def refuse(*arguments):
    raise PermissionError("not ours")


@pytest.mark.parametrize("name", ["pread", "pwrite"])
def test_a_disk_that_fails_is_left_alone_for_a_while(make, name, monkeypatch):
    here, there = make(), make()
    ask(there, "polite")
    with monkeypatch.context() as broken:
        broken.setattr(module.os, name, refuse)
        ask(here, "greedy")
        assert here._file == -1
    here._told = module._NOBODY
    ask(here, "greedy")
    assert here._file == -1
    here._told, here._tried_at = module._NOBODY, module._NEVER
    ask(here, "greedy")
    assert here._file >= 0 and asks_another(here, "greedy")


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"\xff" * 5000, b"nan" * 700])
def test_whatever_the_file_holds_is_read_without_harm(make, path, content):
    path.write_bytes(content)
    here, there = make(), make()
    for callers, group in ((here, "a"), (there, "b")):
        ask(callers, group)
        assert asks_another(callers, "a") in (False, True)


def test_names_of_all_kinds_are_told(make):
    here, there = make(), make()
    for group in ("", "\ud800", "x" * 100_000, "visitor 127.0.0.1"):
        there._told = module._NOBODY
        ask(there, group)
    assert asks_another(here, "greedy")
