"""The spool by itself: batches, long streams, processes that are gone."""

from __future__ import annotations

import os
import threading
import time

import pytest

from flowrunner.errors import TooBusy
from flowrunner.store.stream_files import StreamFolder
from flowrunner.store.streams import StreamEvent
from flowrunner.web.spool import DistantStream, LiveStream, Spool
from tests.waiting import wait_until

RUN = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def store(tmp_path):
    return StreamFolder(tmp_path / "streams")


@pytest.fixture
def spool(store):
    return Spool(lambda: store, grace=0.3)


def numbers(frames):
    return [frame.number for frame in frames]


def test_a_long_stream_is_read_from_memory_and_from_the_file(spool):
    stopped = []
    stream = spool.open(RUN, "ann", "flow", stopped.append)
    stream.enter()
    for number in range(5000):
        stream.append("token", str(number))
    assert wait_until(lambda: len(stream._frames) < 5000)
    seen, done = [], False
    stream.close()
    while not done:
        frames, done = stream.read(seen[-1] if seen else 0, 1)
        seen += numbers(frames)
    assert seen == list(range(1, 5001))
    assert not stopped
    stream.leave()


def test_where_no_thread_could_be_started_the_next_stream_is_stored(spool, store, monkeypatch):
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", no_more_threads)
        with pytest.raises(TooBusy):
            spool.open(RUN, "ann", "flow", lambda reason: None)
    other = RUN.replace("1", "2")
    spool.open(other, "ann", "flow", lambda reason: None).append("token", "1")
    assert wait_until(lambda: numbers(store.read(other, 0)[0]) == [1])


def no_more_threads(thread):
    raise RuntimeError("can't start new thread")


def test_a_reader_that_is_slower_than_the_events_are_kept_is_told(spool):
    stream = spool.open(RUN, "ann", "flow", lambda reason: None)
    stream.enter()
    for number in range(5000):
        stream.append("token", str(number))
    assert wait_until(lambda: len(stream._frames) < 5000)
    stream.close()
    assert wait_until(lambda: spool.find(RUN, "ann", "flow", sees_all=True) is None)
    ((frame,), done) = stream.read(0, 1)
    assert (frame.number, frame.event, done) == (1, "error", True)
    assert "no longer stored" in frame.data


def test_a_stream_that_cannot_be_read_for_a_moment_is_not_lost(store, tmp_path):
    store.begin(RUN, "ann", "flow")
    store.add(RUN, [StreamEvent(1, "token", "1")], ended=False)
    reader, path = DistantStream(store, RUN), tmp_path / "streams" / f"{RUN}.events"
    aside = path.rename(tmp_path / "aside")
    path.mkdir()
    assert reader.read(0, 0) == ([], False)
    path.rmdir()
    aside.rename(path)
    assert numbers(reader.read(0, 1)[0]) == [1]


def test_another_process_reads_what_is_written(spool, store):
    stream = spool.open(RUN, "ann", "flow", lambda reason: None)
    stream.append("token", "1")
    reader = DistantStream(store, RUN)
    frames, done = reader.read(0, 5)
    assert (numbers(frames), done) == ([1], False)
    stream.append("token", "2")
    stream.close()
    frames, done = reader.read(1, 5)
    assert numbers(frames) == [2]
    assert done or reader.read(2, 5) == ([], True)


def test_only_the_owner_of_the_flow_finds_it(spool):
    spool.open(RUN, "ann", "flow", lambda reason: None)
    assert isinstance(spool.find(RUN, "ann", "flow", sees_all=True), LiveStream)
    assert spool.find(RUN, "bob", "flow", sees_all=True) is None
    assert spool.find(RUN, "ann", "other", sees_all=True) is None
    assert spool.find(RUN.replace("1", "2"), "ann", "flow", sees_all=True) is None


def test_a_stream_without_a_reader_is_stopped_and_then_forgotten(spool, tmp_path):
    stopped = []
    stream = spool.open(RUN, "ann", "flow", stopped.append)
    assert wait_until(lambda: stopped)
    stream.close()
    assert wait_until(lambda: not list((tmp_path / "streams").iterdir()))
    assert wait_until(lambda: not spool._writing)


def test_a_reader_in_another_process_keeps_it_going(store):
    store.begin(RUN, "ann", "flow")
    stream = LiveStream(store, RUN, lambda reason: None)
    left = stream.alone_since()
    stream.append("token", "1")
    stream.write()
    assert stream.alone_since() == left
    DistantStream(store, RUN).enter()
    stream.append("token", "2")
    stream.write()
    assert stream.alone_since() > left


def test_what_was_written_in_part_is_read_once(store, tmp_path):
    store.begin(RUN, "ann", "flow")
    with (tmp_path / "streams" / f"{RUN}.events").open("a") as file:
        file.write('[1, "token", "1"]\n[2, "tok')
    store.add(RUN, [StreamEvent(number, "token", str(number)) for number in (1, 2)], ended=True)
    frames, done = DistantStream(store, RUN).read(0, 1)
    assert (numbers(frames), done) == ([1, 2], True)


def test_what_processes_left_behind_is_removed_in_time(store, tmp_path):
    store.begin(RUN, "ann", "flow")
    store.sign(RUN)
    store.sweep(60)
    assert store.is_in_reach(RUN, "ann", "flow", sees_all=True)
    for path in (tmp_path / "streams").iterdir():
        os.utime(path, (time.time() - 90, time.time() - 90))
    store.sweep(60)
    assert not list((tmp_path / "streams").iterdir())


def test_a_run_whose_process_died_ends_with_an_error(store, tmp_path):
    store.begin(RUN, "ann", "flow")
    path = tmp_path / "streams" / f"{RUN}.events"
    path.write_text('{"owner": "ann", "flow": "flow"}\n[1, "token", "1"]\n[2, "tok')
    past = time.time() - 60
    os.utime(path, (past, past))
    reader = DistantStream(store, RUN)
    frames, done = reader.read(0, 1)
    assert (numbers(frames), done) == ([1], False)
    frames = wait_until(lambda: (read := reader.read(1, 1))[1] and read[0])
    assert frames[0].event == "error"
    assert "run_lost" in frames[0].data


@pytest.fixture(params=[3600, -3600], ids=["forward", "back"])
def set_clock(request, monkeypatch):
    """Set the clock on the wall by an hour."""
    real = time.time
    return lambda: monkeypatch.setattr(time, "time", lambda: real() + request.param)


def test_a_clock_that_is_set_ends_no_stream(store, set_clock):
    store.begin(RUN, "ann", "flow")
    set_clock()
    for reader in (DistantStream(store, RUN), DistantStream(store, RUN)):
        for _ in range(3):
            store.add(RUN, [], ended=False)
            assert reader.read(0, 0) == ([], False)


def test_a_clock_that_is_set_leaves_no_run_without_its_grace_and_keeps_none_for_longer(store, set_clock):
    stopped, spool = [], Spool(lambda: store, grace=60)
    stream = spool.open(RUN, "ann", "flow", stopped.append)
    left = stream.alone_since()
    set_clock()
    stream.enter()
    stream.leave()
    assert 0 <= stream.alone_since() - left < 60
    for number in (1, 2):
        # Two rounds of the thread that takes care.
        stream.append("token", str(number))
        assert wait_until(lambda number=number: len(store.read(RUN, 0)[0]) == number)
    assert not stopped
    brief = Spool(lambda: store, grace=0.1)
    brief.open(RUN.replace("1", "2"), "ann", "flow", stopped.append)
    assert wait_until(lambda: stopped)
    stream.close()
