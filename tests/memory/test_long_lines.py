"""Lines of file-json that are too long: none is written, and none is looked into."""

import json

import pytest
from flowrunner_file_json import records, session_file
from flowrunner_file_json.backend import FileJson

from flowrunner import MemoryFailed, MessageChanges, MessageInvalid, MessageQuery
from flowrunner.testing.memory.samples import make_message

WRITTEN, READ = 2000, 3000


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(records, "LONGEST_WRITTEN", WRITTEN)
    monkeypatch.setattr(records, "_LONG_EDIT", 200)
    monkeypatch.setattr(records, "_MOST_IDS", 3)
    monkeypatch.setattr(session_file, "_SMALL", 4)
    for module in (records, session_file):
        monkeypatch.setattr(module, "LONGEST_READ", READ)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "messages"


@pytest.fixture
def open_store(folder):
    opened = []

    def open_one():
        opened.append(FileJson(folder))
        return opened[-1]

    yield open_one
    for backend in opened:
        backend.close()


def append(backend, text, session="s", **values):
    return backend.append_messages([make_message(text, owner="ann", session_id=session, **values)])[0]


def texts(backend, session="s"):
    return [m.text for m in backend.fetch_messages(MessageQuery(owner="ann", session_id=session))]


def one_file(folder, session):
    return next((folder / "sessions").glob(f"{session}-*"))


@pytest.mark.usefixtures("short")
def test_a_message_that_is_too_long_is_refused_and_nothing_is_stored(open_store):
    backend = open_store()
    append(backend, "first")
    for text in ("x" * WRITTEN, "漢" * (WRITTEN // 3), "\0" * (WRITTEN // 6)):
        with pytest.raises(MessageInvalid, match=rf"has \d+ bytes as JSON; file-json stores at most {WRITTEN}\."):
            append(backend, text)
    with pytest.raises(MessageInvalid):
        append(backend, "x", properties={"x": [1] * WRITTEN})
    assert texts(backend) == texts(open_store()) == ["first"]


@pytest.mark.usefixtures("short")
def test_edits_that_would_make_it_too_long_are_refused(open_store):
    backend = open_store()
    message = append(backend, "x" * (WRITTEN // 2))
    query = MessageQuery(owner="ann", ids=(message.id,))
    with pytest.raises(MessageInvalid):
        backend.update_messages(query, MessageChanges(text="y" * WRITTEN))
    with pytest.raises(MessageInvalid):
        backend.update_messages(query, MessageChanges(properties={"y": "y" * (WRITTEN // 2)}))
    assert texts(backend) == texts(open_store()) == ["x" * (WRITTEN // 2)]
    # Written again as a whole, it is still one that can be read.
    for number in range(10):
        backend.update_messages(query, MessageChanges(text=f"{number} " + "z" * 150, properties={"z": "z" * 150}))
    assert texts(open_store()) == ["9 " + "z" * 150]


@pytest.mark.usefixtures("short")
def test_an_edit_or_a_deletion_of_many_is_not_one_long_line(open_store):
    backend = open_store()
    ids = [append(backend, str(n), id="i" * 200 + str(n)).id for n in range(20)]
    backend.update_messages(MessageQuery(owner="ann", session_id="s"), MessageChanges(text="edited"))
    assert texts(open_store()) == ["edited"] * 20
    assert backend.delete_messages(MessageQuery(owner="ann", ids=tuple(ids[:19]))) == 19
    assert texts(open_store()) == ["edited"]


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("end", [b"\n", b""], ids=["whole", "without an end"])
@pytest.mark.parametrize("place", [1, 2, 4])
def test_a_long_line_is_damage_of_its_conversation_alone(open_store, folder, place, end):
    backend = open_store()
    for number in range(4):
        append(backend, str(number))
        append(backend, str(number), "other")
    backend.close()
    file = one_file(folder, "s")
    lines = file.read_bytes().splitlines(keepends=True)
    after = [] if not end else lines[place:]
    file.write_bytes(b"".join([*lines[:place], b'{"message": "' + b"x" * 9 * READ + b'"}' + end, *after]))
    backend = open_store()
    assert texts(backend, "other") == ["0", "1", "2", "3"]
    with pytest.raises(MemoryFailed) as damaged:
        texts(backend)
    assert f"line {place + 1}, is damaged: the line is longer than {READ} bytes" in damaged.value.told
    assert len(backend.mend()) == 1
    assert texts(backend) == ["0", "1", "2", "3"][: None if end else place - 1]


@pytest.mark.usefixtures("short")
def test_lines_that_come_later_are_counted_from_the_beginning(open_store, folder):
    backend = open_store()
    append(backend, "0")
    append(backend, "1")
    assert texts(backend) == ["0", "1"]
    with one_file(folder, "s").open("ab") as file:
        file.write(b"7\n")
    with pytest.raises(MemoryFailed) as damaged:
        texts(backend)
    assert "line 4, is damaged: the line is not a record" in damaged.value.told


def test_a_line_of_200_megabytes_is_not_looked_into(open_store, folder, monkeypatch):
    backend = open_store()
    append(backend, "0")
    backend.close()
    file = one_file(folder, "s")
    with file.open("r+b") as opened:
        # A hole in the file: it takes no room on the disk.
        opened.truncate(file.stat().st_size + 200_000_000)
        opened.seek(0, 2)
        opened.write(b"\n")
    read, whole = [], json.loads

    def loads(text):
        read.append(len(text))
        return whole(text)

    monkeypatch.setattr(session_file.json, "loads", loads)
    monkeypatch.setattr(session_file, "LONGEST_READ", 1_000_000)
    with pytest.raises(MemoryFailed) as damaged:
        texts(open_store())
    assert "line 3, is damaged: the line is longer than 1000000 bytes" in damaged.value.told
    assert max(read) < 1000
