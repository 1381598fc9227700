"""Processes that write to one SQLite file take turns, however eager one of them is."""

import fcntl
import gc
import multiprocessing
import os
import threading
import time
import weakref
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, text

from flowrunner.store import write_turn
from flowrunner.store.engine import close_engine, make_engine, writing
from flowrunner.store.relaxed_commits import unhurried
from flowrunner.store.write_turn import WriteTurn, give_way, taking_turns
from tests.waiting import wait_until


def hold(path, begun, end):
    with WriteTurn(path, 30.0).held():
        begun.set()
        end.wait(30)


def test_two_processes_do_not_write_at_once_and_the_next_is_the_one_who_waits(tmp_path):
    path = str(tmp_path / "x-turn")
    spawn = multiprocessing.get_context("spawn")
    begun, end = spawn.Event(), spawn.Event()
    other = spawn.Process(target=hold, args=(path, begun, end))
    other.start()
    try:
        assert begun.wait(30)
        impatient = WriteTurn(path, 0.1)
        with impatient.held():
            # A courtesy: whoever waited long enough goes on, and SQLite decides.
            pass
        inside = threading.Event()

        def wait():
            with WriteTurn(path, 30.0).held():
                inside.set()

        thread = threading.Thread(target=wait)
        thread.start()
        assert not inside.is_set()
        end.set()
        assert inside.wait(30)
        thread.join(30)
    finally:
        end.set()
        other.join(30)
    assert other.exitcode == 0


def test_threads_of_a_process_write_one_after_the_other(tmp_path):
    turn, inside, most = WriteTurn(str(tmp_path / "x-turn"), 30.0), [], []

    def write():
        for _ in range(50):
            with turn.held():
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == [1] * 200


def test_an_error_gives_the_turn_back(tmp_path):
    turn = WriteTurn(str(tmp_path / "x-turn"), 30.0)
    with pytest.raises(KeyError), turn.held():
        raise KeyError
    with turn.held():
        pass
    assert (tmp_path / "x-turn").stat().st_mode & 0o777 == 0o600


def test_where_no_lock_can_be_had_it_is_done_without(tmp_path):
    with WriteTurn(str(tmp_path / "missing" / "x-turn"), 30.0).held():
        pass


def test_a_child_begins_afresh(tmp_path):
    turn = WriteTurn(str(tmp_path / "x-turn"), 30.0)
    with turn.held():
        child = os.fork()
        if child == 0:
            with WriteTurn(str(tmp_path / "y-turn"), 1.0).held():
                turn._patience = 0.05
                with turn.held():
                    os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        # The child's end has not given back what its parent holds.
        with WriteTurn(str(tmp_path / "x-turn"), 0.0).held():
            pass


def test_all_threads_of_a_child_have_the_same_lock(tmp_path):
    turn = WriteTurn(str(tmp_path / "x-turn"), 30.0)
    child = os.fork()
    if child == 0:
        lock = turn._lock
        with turn.held():
            os._exit(0 if turn._lock is lock and lock.locked() else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("open_one", [writing, unhurried])
def test_transactions_of_ours_take_turns(tmp_path, open_one):
    engine = make_engine(create_engine(f"sqlite:///{tmp_path / 'a.db'}").url)
    try:
        with open_one(engine) as connection:
            connection.execute(text("CREATE TABLE t (x)"))
        assert (tmp_path / "a.db-turn").exists()
    finally:
        engine.dispose()


def test_other_databases_take_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite://", "sqlite:///:memory:"):
        engine = create_engine(url)
        with taking_turns(engine):
            pass
        engine.dispose()
    assert list(tmp_path.iterdir()) == []


def test_an_engine_that_is_closed_leaves_no_lock_file_open(tmp_path):
    engine = make_engine(URL.create("sqlite", database=str(tmp_path / "x.db")))
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE t (n int)"))
    assert open_files(tmp_path / "x.db-turn") == 1
    close_engine(engine)
    assert open_files(tmp_path / "x.db-turn") == 0
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))
    close_engine(engine)
    assert open_files(tmp_path / "x.db-turn") == 0


def test_a_lock_file_is_not_closed_while_somebody_writes(tmp_path):
    turn = WriteTurn(str(tmp_path / "x-turn"), 30.0)
    with turn.held():
        turn.close()
        assert open_files(tmp_path / "x-turn") == 1
    turn.close()
    assert open_files(tmp_path / "x-turn") == 0


def open_files(path):
    return [os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()].count(str(path))


def lock(path, byte, begun, end):
    """Hold one of the two places of the lock file: 0 to write, 1 to be next."""
    with Path(path).open("a+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 1, byte)
        begun.set()
        end.wait(30)


@pytest.fixture
def hold_byte(tmp_path):
    fork = multiprocessing.get_context("fork")
    end, made = fork.Event(), []

    def hold_byte(byte):
        begun = fork.Event()
        made.append(fork.Process(target=lock, args=(str(tmp_path / "x-turn"), byte, begun, end)))
        made[-1].start()
        assert begun.wait(30)
        return end

    yield hold_byte
    end.set()
    for process in made:
        process.join(30)


@pytest.mark.parametrize("byte", [0, 1], ids=["writes", "is next"])
@pytest.mark.parametrize("sees", [False, True])
def test_who_gives_way_finds_no_gap_while_another_writes_or_is_next(tmp_path, hold_byte, byte, sees, monkeypatch):
    monkeypatch.setattr(write_turn, "_GAP", 1)
    monkeypatch.setattr(write_turn, "_SEES_LOCKS", sees and write_turn._SEES_LOCKS)
    hold_byte(byte)
    turn = WriteTurn(str(tmp_path / "x-turn"), 30.0)
    assert turn._find_gap(0.0) is False
    # It holds nothing meanwhile, so that others become next before it.
    assert not turn._lock.locked()
    hold_byte(1 - byte)


def test_who_gives_way_finds_no_gap_while_another_thread_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(write_turn, "_GAP", 1)
    turn = WriteTurn(str(tmp_path / "x-turn"), 30.0)
    with turn.held():
        assert turn._find_gap(0.0) is False
    with turn.held(background=True):
        assert turn._find_gap(0.0) is False
    assert turn._find_gap(0.0) is True


def test_a_gap_is_one_that_lasts(tmp_path, monkeypatch):
    # Who is free at one look and writes again at the next leaves none.
    turn, looks = WriteTurn(str(tmp_path / "x-turn"), 30.0), []
    found = iter([True, False, True, True, False, True, True, True])
    monkeypatch.setattr(turn, "_is_free", lambda: looks.append(1) or next(found))
    assert turn._find_gap(1000.0) is True
    assert len(looks) == 8 and turn._lock.locked()


@pytest.mark.skipif(not write_turn._SEES_LOCKS, reason="locks of others are seen on 64-bit Linux alone")
@pytest.mark.parametrize("byte", [0, 1, None], ids=["writes", "is next", "neither"])
def test_that_another_process_writes_or_is_next_is_seen_without_taking_the_turn(tmp_path, hold_byte, byte):
    turn = WriteTurn(str(tmp_path / "x-turn"), 30.0)
    with turn.held():
        # What a process holds itself it does not see.
        assert turn._is_free()
    if byte is not None:
        hold_byte(byte)
    assert turn._is_free() is (byte is None)
    for other in {0, 1} - {byte}:
        hold_byte(other)
    assert not turn._is_free()


@pytest.mark.parametrize("background", [False, True])
def test_who_gives_way_writes_all_the_same_after_a_while(tmp_path, hold_byte, background, monkeypatch):
    monkeypatch.setattr(write_turn, "_GIVE_WAY", 0.01)
    monkeypatch.setattr(write_turn, "_BACKGROUND", 0.01)
    end = hold_byte(0)
    turn, written = WriteTurn(str(tmp_path / "x-turn"), 30.0), threading.Event()
    turn.gives_way = lambda: True

    def write():
        with turn.held(background=background):
            written.set()

    thread = threading.Thread(target=write)
    thread.start()
    # It is the next one by now.
    assert wait_until(turn._lock.locked, 30)
    assert not written.is_set()
    end.set()
    thread.join(30)
    assert written.is_set()


class Says:
    def __init__(self):
        self.asked = 0

    def gives_way(self):
        self.asked += 1
        return True


def test_a_process_gives_way_as_long_as_there_is_somebody_who_says_so(tmp_path):
    engine, says = make_engine(URL.create("sqlite", database=str(tmp_path / "x.db"))), Says()
    give_way(engine, says)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE t (n int)"))
    assert says.asked == 1
    # What nobody waits for gives way anyhow.
    with unhurried(engine, background=True) as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))
    assert says.asked == 1
    left = weakref.ref(says)
    del says
    assert left() is None
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO t VALUES (2)"))
    close_engine(engine)
    elsewhere = create_engine("sqlite://")
    give_way(elsewhere, Says())
    elsewhere.dispose()


def test_whoever_has_just_written_asks_who_is_next_and_after_a_while_one_lock_is_enough(tmp_path, hold_byte):
    """A process that writes now and then pays for one lock; one that goes on at once is not before who waits."""
    turn = WriteTurn(str(tmp_path / "x-turn"), 30.0)
    hold_byte(1)
    # Somebody is next, and had time to look since this process wrote last, which it never did.
    assert turn._take_at_once() is True
    turn.leave(False, True)
    turn._written_at = time.monotonic() + 60
    assert turn._take_at_once() is False


def spellings(folder):
    """Return ways to name one file that are not there together with another turn."""
    (folder / "data").mkdir()
    (folder / "link").symlink_to(folder / "data")
    (folder / "data" / "other.db").symlink_to(folder / "data" / "x.db")
    return [
        str(folder / "data" / "x.db"),
        "data/x.db",
        "./data/../data/x.db",
        f"{folder}//data/x.db",
        str(folder / "link" / "x.db"),
        str(folder / "link" / ".." / "data" / "x.db"),
        str(folder / "data" / "other.db"),
    ]


def test_however_a_file_is_spelled_a_process_has_one_turn_of_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    engines = [make_engine(URL.create("sqlite", database=path)) for path in spellings(tmp_path)]
    with writing(engines[0]) as connection:
        connection.execute(text("CREATE TABLE t (n int)"))
    for number, engine in enumerate(engines):
        with writing(engine) as connection:
            connection.execute(text(f"INSERT INTO t VALUES ({number})"))
            assert {write_turn._turn_of(each)._lock.locked() for each in engines} == {True}
        assert not write_turn._turn_of(engine)._lock.locked()
    assert [path.name for path in tmp_path.rglob("*-turn")] == ["x.db-turn"]
    for engine in engines:
        close_engine(engine)
    other = make_engine(URL.create("sqlite", database=str(tmp_path / "data" / "y.db")))
    assert write_turn._turn_of(other) is not write_turn._turn_of(engines[0])


def test_threads_with_an_engine_each_find_the_same_turn(tmp_path, monkeypatch):
    url = URL.create("sqlite", database=str(tmp_path / "t.db"))
    engines, found, second = [make_engine(url), make_engine(url)], [], threading.Event()

    class Slow(weakref.WeakValueDictionary):
        """Has another thread look for the turn between looking and setting."""

        def setdefault(self, key, default):
            there = self.get(key)
            if not second.is_set():
                second.set()
                threads[1].start()
                threads[1].join(0.5)
            if there is None:
                self[key] = there = default
            return there

    monkeypatch.setattr(write_turn, "_turns", Slow())
    threads = [threading.Thread(target=lambda e=e: found.append(write_turn._turn_of(e))) for e in engines]
    threads[0].start()
    threads[0].join(30)
    threads[1].join(30)
    assert len(found) == 2 and found[0] is found[1]


def test_a_turn_goes_with_the_last_engine_of_its_file(tmp_path):
    engine = make_engine(URL.create("sqlite", database=str(tmp_path / "x.db")))
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE t (n int)"))
    turn = weakref.ref(write_turn._turn_of(engine))
    engine.dispose()
    del engine, connection
    gc.collect()
    assert turn() is None
    assert open_files(tmp_path / "x.db-turn") == 0
