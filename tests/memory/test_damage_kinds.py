"""What a file of a conversation may become in other hands, in its lines, as a whole, and beside it in the folder."""

import logging
import os
import random
import re
import shutil

import pytest
from flowrunner_file_json.backend import FileJson

from flowrunner import EVERY_OWNER, MemoryFailed, MessageQuery, SessionQuery
from flowrunner.testing.memory.samples import make_message


@pytest.fixture
def folder(tmp_path):
    """A store with two conversations of four messages each."""
    backend = FileJson(tmp_path / "messages")
    for number in range(4):
        for session in ("good", "bad"):
            message = make_message(f"{session} 漢 {number}", owner="ann", session_id=session, id=f"{session}-{number}")
            backend.append_messages([message])
    backend.close()
    return tmp_path / "messages"


def fetch(backend, session):
    return [m.text for m in backend.fetch_messages(MessageQuery(owner="ann", session_id=session))]


def said(session, *numbers):
    return [f"{session} 漢 {number}" for number in numbers]


def sessions(backend):
    return sorted(s.session_id for s in backend.list_sessions(SessionQuery(owner="ann")))


def bad_file(folder):
    return next((folder / "sessions").glob("bad-*"))


def write(old, new):
    """Return a damage that writes something else into the third message."""
    return lambda lines: [*lines[:3], re.sub(old, new, lines[3]), *lines[4:]]


def insert(line):
    return lambda lines: [*lines[:3], line + b"\n", *lines[3:]]


#: Damage by lines, which line is named, and which messages can be saved.
LINES = {
    "a letter cut in two": (write("漢".encode(), "漢".encode()[:1]), 4, (0, 1, 3)),
    "two records on a line": (lambda lines: [*lines[:3], lines[3].rstrip() + lines[4]], 4, (0, 1)),
    "a number": (insert(b"7"), 4, (0, 1, 2, 3)),
    "an empty line": (insert(b""), 4, (0, 1, 2, 3)),
    "a number for a message": (insert(b'{"seq": 99, "message": 7}'), 4, (0, 1, 2, 3)),
    "a text for a place": (write(rb'"seq": \d+', b'"seq": "x"'), 4, (0, 1, 3)),
    "a place without end": (write(rb'"seq": \d+', b'"seq": 1e999'), 4, (0, 1, 3)),
    "a number for a text": (write(rb'"text": "[^"]*"', b'"text": 7'), 4, (0, 1, 3)),
    "a text for files": (write(rb'"files": \[\]', b'"files": "abc"'), 4, (0, 1, 3)),
    "a number in a list of objects": (write(rb'"content_blocks": \[\]', b'"content_blocks": [7]'), 4, (0, 1, 3)),
    "no id": (write(rb'"id": "bad-2"', b'"id": null'), 4, (0, 1, 3)),
    "no time zone": (write(rb'"timestamp": "[^"]*"', b'"timestamp": "2020-01-01T00:00:00"'), 4, (0, 1, 3)),
    "half a surrogate": (write("漢".encode(), rb"\\ud800"), 4, (0, 1, 3)),
    "a message twice": (lambda lines: [*lines[:3], lines[2], *lines[3:]], 4, (0, 1, 2, 3)),
    "another's first line": (lambda lines: [*lines[:3], lines[0].replace(b"ann", b"bob"), *lines[3:]], 4, (0, 1, 2, 3)),
    "an unknown change": (insert(b'{"edit": [], "changes": {"nope": 1}}'), 4, (0, 1, 2, 3)),
    "an edit that moves": (insert(b'{"edit": [], "changes": {"session_id": "x"}}'), 4, (0, 1, 2, 3)),
    "a deletion of a number": (insert(b'{"delete": 7}'), 4, (0, 1, 2, 3)),
    "a record of a later release": (insert(b'{"reaction": ["bad-1"]}'), 4, (0, 1, 2, 3)),
    "nested": (insert(b"[" * 100_000), 4, (0, 1, 2, 3)),
    "no first line": (lambda lines: lines[1:], 1, (0, 1, 2, 3)),
    "a first line of another kind": (lambda lines: [b"[1]\n", *lines[1:]], 1, (0, 1, 2, 3)),
    "a first line of another session": (
        lambda lines: [lines[0].replace(b"ann", b"bob"), *lines[1:]],
        1,
        (0, 1, 2, 3),
    ),
    "cut in mid-file": (lambda lines: [*lines[:2], lines[2][:-20]], 0, (0,)),
    "zeros": (lambda lines: [bytes(sum(map(len, lines)))], 0, ()),
    "random": (lambda lines: [lines[0], random.Random(7).randbytes(200), b"\n", *lines[4:]], 2, (3,)),
}


@pytest.mark.parametrize("reboot", [False, True], ids=["", "rebooted"])
@pytest.mark.parametrize(("damage", "line", "saved"), LINES.values(), ids=list(LINES))
def test_damaged_lines_are_named_and_what_is_whole_is_saved(folder, damage, line, saved, reboot, caplog):
    path = bad_file(folder)
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = b"".join(damage(lines))
    assert damaged != b"".join(lines)
    path.write_bytes(damaged)
    if reboot:
        catalogue = folder / "catalogue.jsonl"
        catalogue.write_bytes(re.sub(rb'"boot": "[^"]*"', b'"boot": "before"', catalogue.read_bytes()))
    with caplog.at_level(logging.ERROR):
        backend = FileJson(folder)
        assert fetch(backend, "good") == said("good", 0, 1, 2, 3)
        assert sessions(backend) == ["good"]
        assert len(backend.fetch_messages(MessageQuery(owner=EVERY_OWNER))) == 4
        for _ in range(2):
            with pytest.raises(MemoryFailed, match="damaged"):
                fetch(backend, "bad")
        with pytest.raises(MemoryFailed, match="damaged"):
            backend.append_messages([make_message("more", owner="ann", session_id="bad")])
    told = {record.getMessage() for record in caplog.records if str(path) in record.getMessage()}
    assert len(told) == 1, told
    assert (f"{path}, line {line}," if line else f"{path}, is damaged") in next(iter(told))
    assert path.read_bytes() == damaged, "nothing is cut off while it is not known what it was"
    assert len(backend.mend()) == 1
    assert path.with_name(f"{path.name}.damaged").read_bytes() == damaged
    assert fetch(backend, "bad") == said("bad", *saved)
    backend.append_messages([make_message("goes on", owner="ann", session_id="bad")])
    backend.close()
    again = FileJson(folder)
    assert fetch(again, "bad") == [*said("bad", *saved), "goes on"]
    assert again.mend() == []
    again.close()


def in_its_place(make):
    def damage(path):
        path.unlink()
        make(path)

    return damage


FILES = {
    "a folder": in_its_place(lambda path: path.mkdir()),
    "a pipe": in_its_place(os.mkfifo),
    "a link to itself": in_its_place(lambda path: path.symlink_to(path)),
    "a link to nowhere": in_its_place(lambda path: path.symlink_to("/not/there")),
    "a device": in_its_place(lambda path: path.symlink_to("/dev/zero")),
    "nothing": in_its_place(lambda path: None),
}


@pytest.mark.parametrize("again", [False, True], ids=["open", "opened again"])
@pytest.mark.parametrize("damage", FILES.values(), ids=list(FILES))
def test_what_is_no_file_harms_no_other_conversation(folder, damage, again):
    backend = FileJson(folder)
    assert fetch(backend, "bad") == said("bad", 0, 1, 2, 3)
    damage(bad_file(folder))
    if again:
        backend.close()
        backend = FileJson(folder)
    with pytest.raises(MemoryFailed, match="damaged"):
        fetch(backend, "bad")
    assert sessions(backend) == ["good"]
    assert fetch(backend, "good") == said("good", 0, 1, 2, 3)
    assert backend.mend()
    assert fetch(backend, "bad") == []
    backend.append_messages([make_message("goes on", owner="ann", session_id="bad")])
    assert (fetch(backend, "bad"), sessions(backend), backend.mend()) == (["goes on"], ["bad", "good"], [])
    backend.close()


def test_a_file_of_another_release_is_left_as_it_is(folder):
    path = bad_file(folder)
    content = path.read_bytes().replace(b'"version": 1', b'"version": 2')
    path.write_bytes(content)
    backend = FileJson(folder)
    with pytest.raises(MemoryFailed, match="damaged"):
        fetch(backend, "bad")
    assert sessions(backend) == ["good"]
    assert [sentence for sentence in backend.mend() if "left as it is" in sentence]
    assert path.read_bytes() == content
    backend.close()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_harms_no_other_conversation(folder):
    bad_file(folder).chmod(0)
    backend = FileJson(folder)
    with pytest.raises(MemoryFailed, match="damaged"):
        fetch(backend, "bad")
    assert (sessions(backend), len(backend.mend())) == (["good"], 1)
    bad_file(folder).chmod(0o600)
    assert fetch(backend, "bad") == said("bad", 0, 1, 2, 3)
    backend.close()


def catalogue(change):
    def damage(folder):
        path = folder / "catalogue.jsonl"
        content = path.read_bytes()
        path.unlink()
        change(path, content)

    return damage


def remove_ids(folder):
    shutil.rmtree(folder / "ids")


def each_id(change):
    def damage(folder):
        for path in (folder / "ids").iterdir():
            path.unlink()
            change(path)

    return damage


def lead_nowhere(folder):
    """Change what the index says of each message: the place of its session is no text any more."""
    for path in (folder / "ids").iterdir():
        content = path.read_bytes()
        path.write_bytes(b"".join(line[:40] + b"\xff" + line[41:] + b"\n" for line in content.split(b"\n")[:-1]))


def ids_are_a_file(folder):
    shutil.rmtree(folder / "ids")
    (folder / "ids").write_text("x")


BESIDE = {
    "the catalogue is gone": catalogue(lambda path, content: None),
    "the catalogue is empty": catalogue(lambda path, content: path.write_bytes(b"")),
    "the catalogue is half": catalogue(lambda path, content: path.write_bytes(content[: len(content) // 2])),
    "the catalogue lost lines": catalogue(lambda path, content: path.write_bytes(content[: content.index(b"\n") + 1])),
    "no JSON": catalogue(lambda path, content: path.write_bytes(content + b"{bad\n")),
    "a number": catalogue(lambda path, content: path.write_bytes(content + b"7\n")),
    "no change": catalogue(lambda path, content: path.write_bytes(content + b'{"file": [1]}\n')),
    "no first line": catalogue(lambda path, content: path.write_bytes(b"[]\n" + content)),
    "bytes": catalogue(lambda path, content: path.write_bytes(content[:150] + b"\xff\x00" * 40 + content[230:])),
    "the catalogue is a folder": catalogue(lambda path, content: path.mkdir()),
    "no ids": remove_ids,
    "ids are a file": ids_are_a_file,
    "ids are folders": each_id(lambda path: path.mkdir()),
    "ids are random": each_id(lambda path: path.write_bytes(random.Random(7).randbytes(500))),
    "ids lead to bytes": lead_nowhere,
    "a note that is empty": lambda folder: (folder / "pending.json").write_bytes(b""),
    "a note that is no JSON": lambda folder: (folder / "pending.json").write_bytes(b"{bad"),
    "a note that is a list": lambda folder: (folder / "pending.json").write_bytes(b"[]"),
    "a note that leads away": lambda folder: (folder / "pending.json").write_bytes(
        b'{"replace": [], "remove": ["../README.txt"]}'
    ),
    "a note that is a folder": lambda folder: (folder / "pending.json").mkdir(),
    "no lock": lambda folder: (folder / "lock").unlink(),
    "a file of somebody's": lambda folder: (folder / "sessions" / "notes.jsonl").write_text("my notes\n"),
}


@pytest.mark.parametrize("again", [False, True], ids=["open", "opened again"])
@pytest.mark.parametrize("damage", BESIDE.values(), ids=list(BESIDE))
def test_what_is_beside_the_conversations_is_made_anew(folder, damage, again):
    backend = FileJson(folder)
    other = FileJson(folder)
    damage(folder)
    if again:
        backend.close()
        backend = FileJson(folder)
    ids = MessageQuery(owner="ann", ids=("bad-1", "good-2"))
    try:
        backend.fetch_messages(ids)
    except MemoryFailed as error:
        # Whoever meets an index that is broken is told to try again.
        assert "try again" in error.message
    for one in (backend, other, backend):
        assert sessions(one) == ["bad", "good"]
        assert [m.id for m in one.fetch_messages(ids)] == ["good-2", "bad-1"][::-1]
        one.append_messages([make_message("more", owner="ann", session_id="bad")])
    for one in (backend, other):
        assert fetch(one, "bad") == [*said("bad", 0, 1, 2, 3), "more", "more", "more"]
        one.close()
    assert (folder / "README.txt").exists()


def test_what_a_damaged_note_was_about_is_kept(folder, caplog):
    beside = bad_file(folder).with_suffix(".jsonl.new")
    beside.write_bytes(b"what was to take its place")
    (folder / "pending.json").write_bytes(b"{bad")
    backend = FileJson(folder)
    assert beside.with_name(f"{beside.name}.damaged").read_bytes() == b"what was to take its place"
    assert (folder / "pending.json.damaged").read_bytes() == b"{bad"
    assert str(folder / "pending.json") in caplog.text
    assert fetch(backend, "bad") == said("bad", 0, 1, 2, 3)
    backend.close()


def test_a_folder_that_is_gone_is_no_empty_store(folder):
    backend = FileJson(folder)
    aside = folder.with_name("aside")
    for path in (folder / "sessions", folder):
        path.rename(aside)
        for ask in (sessions, lambda backend: fetch(backend, "bad")):
            with pytest.raises(MemoryFailed, match="is missing"):
                ask(backend)
        with pytest.raises(MemoryFailed, match="is missing"):
            backend.append_messages([make_message("more", owner="ann", session_id="new")])
        aside.rename(path)
        assert fetch(backend, "bad") == said("bad", 0, 1, 2, 3)
    backend.close()
