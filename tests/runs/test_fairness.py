"""Places that callers share: whoever asks for many waits behind those who ask for few."""

import os
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowrunner.engine.pausing import pausing, storing, working
from flowrunner.runs.callers import Callers
from flowrunner.runs.fairness import FairPlaces, Lent, Place, Work
from flowrunner.runs.pool import Job, in_turn
from tests.waiting import wait_until


class Queue:
    """Wishes for the places, each on a thread of its own, and the order in which they were met."""

    def __init__(self, places):
        self.places, self.met, self.made, self.closed = places, [], [], False

    def ask(self, group, what="", wait=None):
        before, met = self.waiting(), len(self.met)
        done = threading.Event()

        def take():
            place = Place(group, what)
            got = self.places.take(place, wait or (lambda: not self.closed))
            self.met.append((group, place, got))
            # A thread that holds a place lives.
            done.wait(30)

        thread = threading.Thread(target=take, daemon=True)
        self.made.append((thread, done))
        thread.start()
        assert wait_until(lambda: self.waiting() > before or len(self.met) > met)

    def waiting(self):
        return self.places.waiting

    def leave_next(self):
        """Have the one that was served first leave; return who is served then."""
        held = next(place for _, place, _ in self.met if place.held)
        number = len(self.met)
        self.places.leave(held)
        wait_until(lambda: len(self.met) > number)
        return self.met[-1][0]

    def close(self):
        self.closed = True
        for _, done in self.made:
            done.set()
        for thread, _ in self.made:
            thread.join(30)


@pytest.fixture
def make_queue():
    made = []

    def make(places):
        made.append(Queue(places))
        return made[-1]

    yield make
    for queue in made:
        queue.close()


def test_who_asks_once_after_twenty_wishes_of_another_is_served_next(make_queue):
    queue = make_queue(FairPlaces(1))
    for _ in range(20):
        queue.ask("greedy")
    queue.ask("polite")
    assert queue.met[0][0] == "greedy"
    assert [queue.leave_next() for _ in range(3)] == ["polite", "greedy", "greedy"]


def test_callers_with_equally_many_are_served_in_turn(make_queue):
    queue = make_queue(FairPlaces(1))
    for name in ("a", "a", "a", "b", "b", "c"):
        queue.ask(name)
    assert [queue.leave_next() for _ in range(5)] == ["b", "c", "a", "b", "a"]


def test_a_free_place_is_taken_at_once_and_all_can_be_one_callers(make_queue):
    queue = make_queue(FairPlaces(3))
    for _ in range(4):
        queue.ask("a")
    assert len(queue.met) == 3 and queue.waiting() == 1


def test_a_spare_place_is_for_another_caller(make_queue):
    queue = make_queue(FairPlaces(3, spare=1))
    for _ in range(4):
        queue.ask("greedy")
    assert [group for group, _, _ in queue.met] == ["greedy", "greedy"]
    queue.ask("polite")
    assert queue.met[-1][0] == "polite"


def test_who_no_longer_waits_is_forgotten(make_queue):
    queue = make_queue(FairPlaces(1))
    queue.ask("a")
    queue.ask("b", wait=lambda: False)
    assert wait_until(lambda: len(queue.met) == 2)
    assert queue.met[1][2] is False and queue.waiting() == 0
    queue.ask("c")
    assert queue.leave_next() == "c"


def test_what_is_raised_while_waiting_leaves_nothing_behind(make_queue):
    queue = make_queue(FairPlaces(1))
    queue.ask("a")

    def stop():
        raise KeyError

    with pytest.raises(KeyError):
        queue.places.take(Place("b"), stop)
    assert queue.waiting() == 0


def test_a_place_is_given_back_once():
    places = FairPlaces(1)
    first, second, third = Place("a"), Place("b"), Place("c")
    assert places.take(first)
    places.leave(first)
    places.leave(first)
    assert places.take(second)
    assert places.take(third, lambda: False) is False


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40), st.integers(1, 4))
@settings(deadline=None)
def test_never_more_hold_a_place_than_there_are_and_none_is_lost(steps, number):
    places, held = FairPlaces(number), []
    places.look_every = 0.0
    for group, asks in steps:
        if asks:
            place = Place(group)
            assert places.take(place, lambda: False) == (len(held) < number)
            held += [place] if place.held else []
        elif held:
            places.leave(held.pop(0))
        assert sum(places._taken.values()) + places._free == number
        assert len(held) == sum(places._taken.values()) <= number
        assert not places._waiting
        assert set(places._served) == set(places._taken)


def test_a_place_that_is_given_while_its_wish_ends_in_an_error_comes_back():
    places, first, second = FairPlaces(1), Place("a"), Place("b")
    assert places.take(first)

    def stop():
        places.leave(first)
        raise KeyError

    with pytest.raises(KeyError):
        places.take(second, stop)
    assert not second.held
    assert places.take(Place("c"), lambda: False)


@pytest.mark.parametrize("make", [lambda: FairPlaces(1), lambda: Lent(1, 1000.0)], ids=["places", "lent"])
def test_in_a_forked_process_all_places_are_free(make):
    places = make()
    assert places.take(Place("a"))
    child = os.fork()
    if child == 0:
        os._exit(0 if places.take(Place("a"), lambda: False) else 1)
    assert os.waitpid(child, 0)[1] == 0


class OnePlace:
    """A place of a run that notes whether it is held, and how often it was taken."""

    def __init__(self):
        self.held, self.taken = False, 0

    def take(self):
        self.held, self.taken = True, self.taken + 1

    def leave(self):
        self.held = False


def test_a_run_that_a_run_starts_on_its_thread_shares_its_place():
    outer, inner = OnePlace(), OnePlace()
    with working(outer):
        with working(inner), pausing():
            assert not outer.held
        assert outer.held
        with pausing():
            assert not outer.held
        assert outer.held
    assert not outer.held and inner.taken == 0


class Clock:
    """The time, and that of the processor, as a test wants them."""

    def __init__(self, monkeypatch):
        self.now = self.used = 1.0
        monkeypatch.setattr("flowrunner.runs.fairness.time.monotonic", lambda: self.now)
        monkeypatch.setattr("flowrunner.runs.fairness.time.thread_time", lambda: self.used)

    def pass_by(self, seconds, used=0.0):
        self.now += seconds
        self.used += used


class TestLent:
    def do(self, lent, clock, what, seconds, used):
        """Do something once; return whether it took a place."""
        place = Place("a", what)
        held = lent.take(place)
        clock.pass_by(seconds, used)
        lent.leave(place)
        return held

    def test_a_place_of_a_thread_that_has_ended_comes_back(self):
        lent, second = Lent(1, 0.05), Place("b", "other")
        thread = threading.Thread(target=lent.take, args=(Place("a", "works"),))
        thread.start()
        thread.join(30)
        assert lent.take(second) and second.held

    def test_what_turns_out_to_wait_takes_no_place_and_those_who_wait_to_do_the_same_are_let_in(self, make_queue):
        lent = Lent(1, 1000.0)
        queue, first = make_queue(lent), Place("a", "sleeps")
        assert lent.take(first)
        for _ in range(5):
            queue.ask("a", "sleeps")
        queue.ask("b", "works")
        # Its thread waits as a component does that does not say so.
        first.began -= 10
        lent.leave(first)
        assert wait_until(lambda: len(queue.met) == 6, 30)
        assert [group for group, place, _ in queue.met if place.held] == ["b"]
        assert lent.take(Place("c", "sleeps")) is False

    def test_what_works_is_not_taken_for_waiting_since_it_was_kept_from_the_processor_once(self, monkeypatch):
        lent, clock = Lent(1, 1000.0), Clock(monkeypatch)
        for _ in range(100):
            assert self.do(lent, clock, "works", 0.005, 0.001)
        assert self.do(lent, clock, "works", 2.0, 0.001)
        assert self.do(lent, clock, "works", 0.005, 0.001)

    def test_what_works_after_all_takes_a_place_again(self, monkeypatch):
        lent, clock = Lent(1, 1000.0), Clock(monkeypatch)
        assert self.do(lent, clock, "changes", 0.5, 0.0)
        assert not self.do(lent, clock, "changes", 0.5, 0.0)
        assert not self.do(lent, clock, "changes", 0.5, 0.5)
        assert self.do(lent, clock, "changes", 0.5, 0.5)

    def test_a_moment_says_nothing(self, monkeypatch):
        lent, clock = Lent(1, 1000.0), Clock(monkeypatch)
        assert self.do(lent, clock, "is new", 0.09, 0.0)
        assert self.do(lent, clock, "is new", 0.001, 0.0)

    def test_of_a_bounded_number_of_kinds_something_is_known(self, monkeypatch):
        lent, clock = Lent(1, 1000.0), Clock(monkeypatch)
        for number in range(2500):
            assert self.do(lent, clock, f"flow {number}", 1.0, 0.0)
        assert len(lent._seen) <= 1000

    def test_who_crowds_has_one_place_and_keeps_nobody_else_from_the_others(self, make_queue):
        crowding = set()
        lent = Lent(3, 1000.0, spare=1, crowds=lambda group: group in crowding)
        queue = make_queue(lent)
        crowding.add("greedy")
        for group in ("greedy", "polite", "other", "greedy", "polite"):
            queue.ask(group)
        assert [group for group, _, _ in queue.met] == ["greedy", "polite", "other"]
        # The greedy one was served before the polite one, and has as many.
        lent.leave(queue.met[2][1])
        assert wait_until(lambda: len(queue.met) == 4, 30) and queue.met[3][0] == "polite"
        lent.leave(queue.met[3][1])
        assert queue.waiting() == 1
        crowding.clear()
        lent._looked = 0.0
        lent.look()
        assert wait_until(lambda: len(queue.met) == 5, 30)

    def test_a_place_that_is_held_for_too_long_counts_as_given_back(self):
        lent = Lent(1, 0.05)
        first, second = Place("a", "works"), Place("b", "other")
        assert lent.take(first)
        end = time.thread_time() + 0.2
        while time.thread_time() < end:
            pass
        assert lent.take(second)
        assert second.held and not first.held
        lent.leave(first)
        assert second.held


class TestCrowding:
    @pytest.fixture
    def places(self):
        places = FairPlaces(100, callers=Callers())
        for _ in range(20):
            assert places.take(Place("greedy"))
        return places

    def test_a_caller_alone_never_crowds(self, places):
        assert not places.crowds("greedy")

    def test_a_caller_with_many_runs_crowds_while_others_ask(self, places, monkeypatch):
        assert places.take(Place("polite"))
        assert places.crowds("greedy") and not places.crowds("polite")
        now = time.monotonic()
        monkeypatch.setattr("flowrunner.runs.fairness.time.monotonic", lambda: now + 2.5)
        assert not places.crowds("greedy")

    def test_others_count_for_as_long_as_is_asked_for(self, places, monkeypatch):
        assert places.take(Place("polite"))
        now = time.monotonic()
        monkeypatch.setattr("flowrunner.runs.fairness.time.monotonic", lambda: now + 1.5)
        assert places.crowds("greedy") and not places.crowds("greedy", 0.5)

    def test_many_callers_with_a_run_each_do_not_crowd(self):
        places = FairPlaces(100, callers=Callers())
        for number in range(60):
            assert places.take(Place(f"caller {number}"))
        assert not any(places.crowds(f"caller {number}") for number in range(60))

    def test_places_that_know_no_callers_are_never_crowded(self):
        places = FairPlaces(100)
        for group in ["greedy"] * 20 + ["polite"]:
            assert places.take(Place(group))
        assert not places.crowds("greedy") and not places.gives_way()

    @pytest.mark.parametrize("crowds", [False, True])
    def test_a_run_keeps_its_place_while_it_stores_only_where_its_caller_crowds(self, crowds):
        lent = Lent(1, 1000.0)
        lent.look = lambda: None
        work = Work(lent, "a", "flow", lambda: True, lambda within: crowds)
        work.take()
        work.begin_storing()
        other = Place("b", "other")
        assert lent.take(other, lambda: False) is not crowds
        lent.leave(other)
        work.end_storing()
        assert lent.take(Place("b", "other"), lambda: False) is False
        work.leave()
        assert lent.take(Place("b", "other"), lambda: False)

    @pytest.mark.parametrize("crowds", [False, True])
    def test_waiting_for_the_store_is_no_waiting_of_the_run(self, crowds, monkeypatch):
        lent, clock = Lent(1, 1000.0), Clock(monkeypatch)
        work = Work(lent, "a", "flow", lambda: True, lambda within: crowds)
        for _ in range(5):
            work.take()
            clock.pass_by(0.01, 0.005)
            work.begin_storing()
            clock.pass_by(60)
            work.end_storing()
            clock.pass_by(0.01, 0.005)
            work.leave()
        assert lent._seen["flow"] == (pytest.approx(0.1), pytest.approx(0.05))
        assert lent.take(Place("b", "flow"))

    def store(self, lent, clock, seconds):
        """Have a run of a caller who crowds store something; return whether it kept its place."""
        work = Work(lent, "a", "flow", lambda: True, lambda within: True)
        work.take()
        work.begin_storing()
        clock.pass_by(seconds)
        kept = work._place.held
        work.end_storing()
        assert work._place.held
        work.leave()
        return kept

    def test_where_the_store_is_slow_a_few_runs_share_a_transaction_all_the_same(self, monkeypatch):
        lent, clock = Lent(1, 1000.0), Clock(monkeypatch)
        # Nothing is known at first, and a store that was fast of late is not slow.
        assert [self.store(lent, clock, seconds) for seconds in (0.02, 0.02, 0.005, 0.02)] == [True, False, False, True]
        assert [self.store(lent, clock, 0.05) for _ in range(30)].count(False) > 10
        works = [Work(lent, "a", "flow", lambda: True, lambda within: True) for _ in range(6)]
        for work in works[:5]:
            work.take()
            work.begin_storing()
        assert [work._place.held for work in works[:5]] == [False] * 4 + [True]
        assert lent.take(Place("a", "flow"), lambda: False) is False
        clock.pass_by(0.05)
        for work in works[:5]:
            work.end_storing(last=True)
            work.leave()
        assert lent._storing == {}
        works[5].take()
        works[5].begin_storing()
        assert not works[5]._place.held

    def test_a_store_that_hangs_keeps_no_places(self, monkeypatch):
        lent, clock = Lent(1, 1.0), Clock(monkeypatch)
        work = Work(lent, "a", "flow", lambda: True, lambda within: True)
        work.take()
        work.begin_storing()
        clock.pass_by(0.9)
        lent.look()
        assert work._place.held
        clock.pass_by(0.2)
        lent.look()
        assert not work._place.held
        work.end_storing()
        work.leave()
        assert lent.take(Place("b", "flow"))


def job(seq, group):
    return Job(seq, f"run-{seq}", None, lambda: None, group)


class TestBackgroundRuns:
    def test_the_run_of_another_caller_begins_before_the_rest_of_twenty(self):
        waiting = {"greedy": [job(n, "greedy") for n in range(20)], "polite": [job(20, "polite")]}
        assert [j.seq for j in in_turn(waiting, {}, 4)] == [0, 20, 1, 2]
        assert [j.seq for j in in_turn(waiting, {"greedy": 1}, 3)] == [20, 0, 1]

    def test_one_caller_has_all_threads_where_nobody_else_waits_in_order(self):
        assert [j.seq for j in in_turn({"a": [job(n, "a") for n in range(5)]}, {"a": 2}, 3)] == [0, 1, 2]

    def test_no_thread_no_run(self):
        assert in_turn({"a": [job(1, "a")]}, {"a": 4}, 0) == []
        assert in_turn({"a": [job(1, "a")]}, {"a": 4}, -1) == []


def test_after_its_last_messages_a_run_takes_no_place_again():
    """What is left, its answer, is made without one; whoever keeps its place while it stores goes on from there."""
    places = Lent(1, 5.0)
    for crowds in (False, True):
        work = Work(places, "a", "flow", lambda: True, lambda within, crowds=crowds: crowds)
        with working(work), storing(last=True):
            assert (places._free == 0) is crowds
            if not crowds:
                other = Place("b")
                assert places.take(other)
        assert (places._free == 0) is not crowds
        if not crowds:
            places.leave(other)
    assert places._free == 1


def test_who_crowds_keeps_a_place_idle_for_as_long_as_it_worked_while_others_ask(monkeypatch):
    rests, asked, crowding = [], [], {}
    monkeypatch.setattr("flowrunner.runs.fairness.time.sleep", rests.append)

    def crowds(within):
        asked.append(within)
        return crowding["a"]

    lent = Lent(1, 1000.0)
    for crowding["a"] in (False, True):
        work = Work(lent, "a", "flow", lambda: True, crowds)
        work.take()
        work.leave()
        assert lent._free == 1
        # A second time does nothing, and nobody is asked.
        work.leave()
    assert len(rests) == 1 and 0 <= rests[0] <= Work._REST
    assert asked == [Work._WHILE, Work._WHILE]
