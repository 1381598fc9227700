"""The whole contract on the backend ``file-json``, and what only it promises."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from flowrunner_file_json import catalogue, files, journal, session_file, store
from flowrunner_file_json.backend import FileJson
from flowrunner_file_json.session_file import digest_of

from flowrunner import MemoryFailed, MessageChanges, MessageInvalid, MessageQuery, SessionQuery
from flowrunner.testing import MemoryBackendContract
from flowrunner.testing.memory.listing import list_ids
from flowrunner.testing.memory.samples import (
    ANN,
    AWKWARD_IDS,
    NOON,
    append_texts,
    fetch_texts,
    make_full_message,
    make_message,
)


class TestFileJson(MemoryBackendContract):
    def open_backend(self, folder: Path) -> FileJson:
        return FileJson(folder / "messages")

    @contextmanager
    def break_writes(self, backend: FileJson):
        def full(descriptor):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(files.os, "fsync", full)
            yield


@pytest.fixture
def open_folder(tmp_path):
    """Open backends on the test's folder, and close them after it."""
    opened = []

    def open_one() -> FileJson:
        opened.append(FileJson(tmp_path))
        return opened[-1]

    yield open_one
    for backend in opened:
        backend.close()


@pytest.fixture
def backend(open_folder):
    return open_folder()


def session_files(folder: Path) -> list[Path]:
    return sorted((folder / "sessions").iterdir())


def only_file(folder: Path) -> Path:
    (path,) = session_files(folder)
    return path


def test_a_person_can_read_a_session(backend, tmp_path):
    backend.append_messages([make_message("Grüezi 🜁", "My talk", id="1"), make_message("two", "My talk", id="2")])
    path = only_file(tmp_path)
    assert path.name.startswith("My-talk-")
    header, first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert (header["owner"], header["session"]) == (ANN, "My talk")
    assert (first["seq"], first["message"]["text"], first["more"]) == (1, "Grüezi 🜁", True)
    assert (second["seq"], second["message"]["id"], "more" in second) == (2, "2", False)
    assert "Grüezi 🜁" in path.read_text()


def test_no_id_becomes_a_path(backend, tmp_path):
    for name, session in AWKWARD_IDS.items():
        append_texts(backend, "x", session_id=session, owner=session[:255], id=f"{name}/../{session[:200]}")
    inside = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert inside <= {"sessions", "ids", "lock", "catalogue.jsonl", "README.txt"}
    assert len(session_files(tmp_path)) == len(AWKWARD_IDS)
    assert all(re.fullmatch(r"([A-Za-z0-9_-]{1,24}-)?[0-9a-f]{64}\.jsonl", p.name) for p in session_files(tmp_path))


@pytest.mark.parametrize("cut", [1, 10, 400])
def test_a_torn_last_line_is_cut_off_and_reported_with_its_file(backend, tmp_path, caplog, cut, open_folder):
    append_texts(backend, "kept")
    backend.append_messages([make_message("torn"), make_message("torn too")])
    path = only_file(tmp_path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - cut)
    backend.close()
    with caplog.at_level(logging.WARNING, logger="flowrunner"):
        again = open_folder()
        assert fetch_texts(again) == ["kept"]
    assert str(path) in caplog.text
    append_texts(again, "later")
    assert fetch_texts(again) == ["kept", "later"]
    assert fetch_texts(open_folder()) == ["kept", "later"]


def test_a_line_that_cannot_be_read_is_an_error_that_names_the_file(backend, tmp_path, open_folder, caplog):
    stored = append_texts(backend, "a", "b")
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"text"', b'"te', 1))
    backend.close()
    again = open_folder()
    with pytest.raises(MemoryFailed, match="damaged"):
        again.fetch_messages(MessageQuery(owner=ANN, session_id=stored[0].session_id))
    assert f"{path}, line 2" in caplog.text


def test_edits_and_deletions_are_records_until_they_are_too_many(backend, tmp_path, open_folder):
    stored = append_texts(backend, "a", "b")
    path = only_file(tmp_path)
    one = MessageQuery(owner=ANN, ids=(stored[0].id or "",))
    backend.update_messages(one, MessageChanges(text="A"))
    assert len(path.read_text().splitlines()) == 4
    for n in range(200):
        backend.update_messages(one, MessageChanges(text=str(n)))
    assert len(path.read_text().splitlines()) < 80
    assert fetch_texts(backend) == fetch_texts(open_folder()) == ["199", "b"]


def test_an_empty_session_leaves_no_file(backend, tmp_path, open_folder):
    append_texts(backend, "a", "b")
    backend.delete_messages(MessageQuery(owner=ANN))
    assert session_files(tmp_path) == []
    append_texts(backend, "c")
    assert fetch_texts(open_folder()) == ["c"]


@pytest.mark.parametrize("missing", ["catalogue.jsonl", "ids", "both"])
def test_indexes_that_are_missing_are_made_anew(backend, tmp_path, missing, open_folder):
    for n in range(6):
        append_texts(backend, str(n), session_id=f"s{n % 3}", id=str(n), flow_id="f")
    backend.close()
    for name in ("catalogue.jsonl", "ids") if missing == "both" else (missing,):
        path = tmp_path / name
        subprocess.run(["rm", "-r", str(path)], check=True)
    again = open_folder()
    assert fetch_texts(again, ids=("4", "1")) == ["1", "4"]
    assert list_ids(again, flow_id="f") == ["s2", "s1", "s0"]
    append_texts(again, "6", session_id="s0")
    assert fetch_texts(again) == [str(n) for n in range(7)]


def test_after_a_restart_of_the_machine_indexes_are_made_anew(backend, tmp_path, monkeypatch, open_folder):
    append_texts(backend, "a", id="1")
    append_texts(backend, "b", session_id="lost", id="2")
    backend.close()
    lines = (tmp_path / "catalogue.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "catalogue.jsonl").write_bytes(b"".join(lines[:-1]))
    monkeypatch.setattr(store, "_boot_id", lambda: "another start")
    again = open_folder()
    assert list_ids(again) == ["lost", "talk"]
    assert fetch_texts(again, ids=("2",)) == ["b"]
    append_texts(again, "c")
    assert fetch_texts(again) == ["a", "b", "c"]


def test_without_a_number_of_the_start_indexes_wait_for_the_disk(tmp_path, monkeypatch, open_folder):
    monkeypatch.setattr(store, "_boot_id", lambda: "")
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(files.os, "fsync", lambda descriptor: synced.append(descriptor) or fsync(descriptor))
    backend = open_folder()
    append_texts(backend, "a")
    synced.clear()
    append_texts(backend, "b")
    assert len(synced) >= 3


def die(*arguments):
    raise KeyboardInterrupt


def test_a_move_that_was_noted_is_completed_by_the_next_one(backend, tmp_path, monkeypatch, open_folder):
    append_texts(backend, "b", session_id="left", timestamp=NOON)
    append_texts(backend, "a", session_id="right", timestamp=NOON.replace(year=2025))
    with monkeypatch.context() as patch:
        patch.setattr(journal, "complete", die)
        with pytest.raises(KeyboardInterrupt):
            backend.update_messages(MessageQuery(owner=ANN, session_id="right"), MessageChanges(session_id="left"))
    assert (tmp_path / "pending.json").exists()
    again = open_folder()
    assert fetch_texts(again, session_id="left") == ["a", "b"]
    assert list_ids(again) == ["left"]
    assert fetch_texts(backend, session_id="left") == ["a", "b"]
    assert not (tmp_path / "pending.json").exists()


def test_a_move_that_was_not_noted_has_not_been(backend, tmp_path, monkeypatch, open_folder):
    append_texts(backend, "b", session_id="left")
    append_texts(backend, "a", session_id="right")
    with monkeypatch.context() as patch:
        patch.setattr(journal, "replace_file", die)
        with pytest.raises(KeyboardInterrupt):
            backend.update_messages(MessageQuery(owner=ANN, session_id="right"), MessageChanges(session_id="left"))
    assert [path for path in session_files(tmp_path) if path.suffix == ".new"]
    again = open_folder()
    assert not [path for path in session_files(tmp_path) if path.suffix == ".new"]
    assert fetch_texts(again, session_id="left") == ["b"]
    assert fetch_texts(again, session_id="right") == ["a"]


def test_a_long_catalogue_is_written_anew_and_all_go_on(backend, tmp_path, monkeypatch, open_folder):
    monkeypatch.setattr(catalogue, "_SLACK", 10)
    other = open_folder()
    for n in range(60):
        append_texts((backend, other)[n % 2], str(n), session_id=f"s{n % 3}")
        if n == 40:
            backend.delete_messages(MessageQuery(owner=ANN, session_id="s0"))
    assert len((tmp_path / "catalogue.jsonl").read_text().splitlines()) < 40
    expected = [str(n) for n in range(60) if n % 3 or n > 40]
    assert fetch_texts(backend) == fetch_texts(other) == fetch_texts(open_folder()) == expected


FILLS_THE_DISK = """
import resource, sys
from pathlib import Path
from flowrunner import MemoryFailed
from flowrunner_file_json.backend import FileJson
from flowrunner.testing.memory.samples import append_texts
backend = FileJson(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
for n in range(1000):
    try:
        append_texts(backend, "x" * 300, id=str(n))
    except MemoryFailed as error:
        print("failed", error)
        break
    print("stored", n)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs limits of a process")
def test_a_disk_that_is_full_in_the_middle_of_a_write_loses_nothing_acknowledged(tmp_path, open_folder):
    told = subprocess.run(
        [sys.executable, "-c", FILLS_THE_DISK, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert told[-1].startswith("failed The message store cannot be used now: the disk is full")
    backend = open_folder()
    kept = [message.id for message in backend.fetch_messages(MessageQuery(owner=ANN))]
    assert kept == [line.split()[1] for line in told[:-1]]
    append_texts(backend, "goes on")
    assert backend.list_sessions(SessionQuery(owner=ANN))[0].count == len(kept) + 1


def test_what_nests_too_deeply_to_be_handed_out_is_not_written(backend, tmp_path):
    append_texts(backend, "a")
    deep = {}
    for levels in range(1, 300):
        deep = {"a": [deep]} if levels % 2 else {"b": 1, "a": deep}
    before = only_file(tmp_path).read_bytes()
    with pytest.raises(MessageInvalid, match="nests more than 200 levels deep"):
        backend.append_messages([make_message("b", properties=deep)])
    with pytest.raises(MessageInvalid, match="nests more than 200 levels deep"):
        backend.update_messages(MessageQuery(owner=ANN), MessageChanges(session_metadata=deep))
    assert only_file(tmp_path).read_bytes() == before
    assert fetch_texts(backend) == ["a"]


def test_what_came_in_comes_out_of_a_file_that_was_written_anew(backend, tmp_path, open_folder):
    message = make_full_message(session_id="left")
    backend.append_messages([message])
    backend.update_messages(MessageQuery(owner=ANN), MessageChanges(session_id="right"))
    assert open_folder().fetch_messages(MessageQuery(owner=ANN)) == [message.replace(session_id="right")]


def test_what_is_kept_at_hand_is_bounded_and_what_was_forgotten_is_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_MOST_ROWS", 40)
    backend = FileJson(tmp_path / "messages")
    for number in range(30):
        append_texts(backend, *"abcdefgh", session_id=f"s{number}")
    for _ in range(2):
        for number in range(30):
            assert fetch_texts(backend, session_id=f"s{number}") == [*"abcdefgh"]
            assert sum(len(file.rows) for file in backend._store._files.values()) <= 40
    backend.close()


def test_messages_of_many_sessions_are_looked_up_file_by_file(tmp_path, monkeypatch, open_folder):
    """Ten sessions that take turns, and room for two of them: each file is read once for all ids together."""
    writer = open_folder()
    for n in range(60):
        append_texts(writer, str(n), session_id=f"s{n % 10}", id=str(n))
    writer.update_messages(MessageQuery(owner=ANN, ids=("13",)), MessageChanges(session_id="s4"))
    monkeypatch.setattr(store, "_MOST_ROWS", 12)
    read = []
    take = session_file.SessionFile._take_record
    monkeypatch.setattr(
        session_file.SessionFile, "_take_record", lambda self, record: (read.append(record), take(self, record))
    )
    found = open_folder().fetch_messages(MessageQuery(owner=ANN, ids=tuple(str(n) for n in range(70))))
    assert [message.id for message in found] == [str(n) for n in range(60)]
    assert len(read) <= 70, "files were read more than once"


def test_a_message_is_found_by_a_hint_behind_one_that_leads_nowhere(backend, tmp_path):
    append_texts(backend, "a", session_id="one", id="1")
    append_texts(backend, "b", session_id="two", id="2")
    path = next(path for path in (tmp_path / "ids").iterdir() if digest_of(ANN, "one").encode() in path.read_bytes())
    line = path.read_bytes()
    path.write_bytes(line + line.replace(digest_of(ANN, "one").encode(), digest_of(ANN, "two").encode()))
    both = backend.fetch_messages(MessageQuery(owner=ANN, ids=("1", "2")))
    assert [message.id for message in both] == ["1", "2"]
    assert [message.id for message in backend.fetch_messages(MessageQuery(owner=ANN, ids=("1",)))] == ["1"]
