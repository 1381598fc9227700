"""Export, import, copy and digests: whatever is carried from one backend to another is the same there."""

from __future__ import annotations

import io
import json

import pytest

from flowrunner import EVERY_OWNER, BadRequest, Conflict
from flowrunner.memory.digests import digest_lines, digest_sessions, same_digests
from flowrunner.memory.paging import _FIRST
from flowrunner.memory.transfer import copy_messages, export_lines, import_lines
from flowrunner.testing.memory.samples import NOON, make_message
from tests.maintenance.conftest import fill, said

PAIRS = [("in-memory", "file-json"), ("file-json", "sqlite"), ("sqlite", "in-memory")]


def line_with(**members):
    """Return a line of an export with some members changed."""
    return json.dumps({**make_message("a", "s").to_record(), **members})


def everything(store):
    return store.for_owner(EVERY_OWNER).fetch()


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_copy_is_the_same_in_every_field_and_in_order(open_store, source, target):
    one, other = open_store(source), open_store(target)
    fill(one)
    done = copy_messages(one, other)
    assert (done.stored, done.skipped) == (len(everything(one)), 0)
    assert everything(other) == everything(one)
    assert other.for_owner(EVERY_OWNER).sessions() == one.for_owner(EVERY_OWNER).sessions()
    digests = digest_sessions(one.for_owner(EVERY_OWNER))
    assert digests == digest_sessions(other.for_owner(EVERY_OWNER))
    assert sum(digest.count for digest in digests) == done.stored


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_an_export_is_read_by_every_backend(open_store, source, target):
    one, other = open_store(source), open_store(target)
    fill(one)
    file = io.BytesIO("".join(f"{line}\n" for line in export_lines(one.for_owner(EVERY_OWNER))).encode())
    import_lines(other, file)
    assert everything(other) == everything(one)
    file.seek(0)
    assert digest_lines(file) == digest_sessions(other.for_owner(EVERY_OWNER))


def test_every_line_is_an_object_with_every_field(store):
    fill(store)
    for line, message in zip(export_lines(store.for_owner(EVERY_OWNER)), everything(store), strict=True):
        assert line.splitlines() == [line]
        assert json.loads(line) == message.to_record()


def test_many_messages_go_page_by_page_in_order(open_store):
    one, other = open_store("sqlite"), open_store("in-memory")
    for start in range(0, 2600, 100):
        one.for_owner("ann").append(said(n, session_id=f"s{n // 50 % 3}") for n in range(start, start + 100))
    copy_messages(one, other)
    assert [message.text for message in everything(other)] == [str(n) for n in range(2600)]


def test_an_export_goes_on_while_others_write_and_delete(store):
    ann = store.for_owner("ann")
    first = ann.append(said(n) for n in range(2000))
    lines = export_lines(store.for_owner(EVERY_OWNER))
    # A whole number of pages, each twice as long as the one before.
    read = _FIRST * (2**5 - 1)
    seen = [json.loads(next(lines))["text"] for _ in range(read)]
    ann.delete(ids=(first[read - 1].id, first[read + 100].id))
    ann.append([said("new")])
    seen += [json.loads(line)["text"] for line in lines]
    assert seen == [str(n) for n in range(2000) if n != read + 100] + ["new"]


def test_one_session_or_owner_alone(store):
    fill(store)
    mine = [json.loads(line) for line in export_lines(store.for_owner("ann"), session_id="plain")]
    assert [(record["owner"], record["session_id"]) for record in mine] == [("ann", "plain")]
    assert [d.owner for d in digest_sessions(store.for_owner(EVERY_OWNER), session_id="plain")] == ["ann", "bob"]


def test_an_import_that_broke_off_can_be_repeated(open_store):
    one, other = open_store("in-memory"), open_store("sqlite")
    fill(one)
    lines = list(export_lines(one.for_owner(EVERY_OWNER)))
    import_lines(other, lines[:7])
    with pytest.raises(Conflict, match="already exists.*--skip-existing"):
        import_lines(other, lines)
    done = import_lines(other, lines, skip_existing=True)
    assert (done.stored, done.skipped) == (len(lines) - 7, 7)
    assert everything(other) == everything(one)


def test_everything_may_become_one_owners(open_store):
    one, other = open_store("in-memory"), open_store("file-json")
    one.for_owner("ann").append([said("a")])
    one.for_owner("bob").append([said("b")])
    import_lines(other, export_lines(one.for_owner(EVERY_OWNER)), owner="cleo")
    assert [message.text for message in other.for_owner("cleo").fetch(session_id="s1")] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (line_with(text=5), "its text is not a string"),
        (line_with(id="i" * 256), "its id has more than 255 characters"),
        (line_with(owner="o" * 256), "its owner has more than 255 characters"),
        (line_with(flow_id="f" * 256), "its flow_id has more than 255 characters"),
        (line_with(run_id=3), "its run_id is not a string"),
        (line_with(context_id=3), "its context_id is not a string"),
        (line_with(category=3), "its category is not a string"),
        (line_with(category=None), "its category is not a string"),
        (line_with(timestamp=3), "its timestamp is not a string"),
        (line_with(timestamp="0001-01-01T00:00:00+14:00"), "not a message"),
        (line_with(files="abc"), "its files is not a list of strings"),
        (line_with(files=[1]), "its files is not a list of strings"),
        (line_with(content_blocks="abc"), "its content_blocks is not a list of objects"),
        (line_with(content_blocks=["abc"]), "its content_blocks is not a list of objects"),
        (line_with(properties=[1]), "its properties is not an object"),
        (line_with(session_metadata="x"), "its session_metadata is not an object"),
        (line_with(error="no"), "its error is not a boolean"),
        (line_with(edit=7), "its edit is not a boolean"),
        (line_with(duration="x"), "its duration is not a number of seconds"),
        (line_with(duration=True), "its duration is not a number of seconds"),
        (line_with(duration=10**400), "its duration is not a number of seconds"),
        (line_with(later=3)[:-1] + ', "deep": ' + "[" * 200 + "]" * 200 + "}", "nested more than 200 levels deep"),
        ("[" * 100_000, "nested more than 200 levels deep"),
        ("{", "not valid JSON"),
        ("[]", "not a JSON object"),
        ('{"id": "1", "owner": "ann", "session_id": "", "sender": "User", "sender_name": "User"}', "lacks session_id"),
        ('{"id": "1", "owner": "ann", "session_id": "s", "sender": "U", "sender_name": 5}', "lacks sender_name"),
        (
            '{"id": "1", "owner": "a", "session_id": "s", "sender": "U", "sender_name": "U", "timestamp": "noon"}',
            "not a message",
        ),
    ],
)
def test_a_line_that_is_no_message_is_named_and_those_before_it_are_stored(store, line, reason):
    lines = [*export_lines(_with_one_message(store)), "", line]
    store.for_owner("ann").delete()
    with pytest.raises(BadRequest, match=f"Line 3 is not an exported message: .*{reason}"):
        import_lines(store, lines)
    assert len(everything(store)) == 1


def test_lines_before_a_bad_one_are_stored_for_another_owner_too(open_store):
    store = open_store("in-memory")
    with pytest.raises(BadRequest, match="Line 3 is not an exported message"):
        import_lines(store, [line_with(id="1"), line_with(id="2"), "{"], owner="cleo")
    assert [message.owner for message in everything(store)] == ["cleo", "cleo"]


def test_an_export_that_has_a_message_twice_is_taken_once(open_store):
    store, told = open_store("in-memory"), []
    lines = [line_with(id="1"), line_with(id="2"), line_with(id="1")]
    done = import_lines(store, lines, skip_existing=True, told=told.append)
    assert (done.stored, done.skipped, sum(told)) == (2, 1, 3)


def _with_one_message(store):
    store.for_owner("ann").append([said("a")])
    return store.for_owner(EVERY_OWNER)


def test_members_that_are_missing_or_of_later_releases_do_no_harm(store):
    lines = [line_with(id="1", later={"x": 1}), line_with(id="2", properties=None, files=None, content_blocks=None)]
    lines += ['{"id": "3", "owner": "ann", "session_id": "s", "sender": "U", "sender_name": "U"}']
    import_lines(store, lines)
    assert [message.id for message in everything(store)] == ["1", "2", "3"]
    import_lines(store, export_lines(store.for_owner(EVERY_OWNER)), skip_existing=True)
    assert len(digest_sessions(store.for_owner(EVERY_OWNER))) == 1


def test_a_digest_tells_every_difference(open_store):
    base = {"session_id": "s", "id": "1", "timestamp": NOON}
    stores = []
    for fields in ({}, {"text": "x"}, {"sender_name": "x"}, {"properties": {"a": 1}}, {"error": True}):
        stores.append(open_store("in-memory"))
        stores[-1].for_owner("ann").append([make_message(**{**base, **fields})])
    first, *others = [digest_sessions(store.for_owner(EVERY_OWNER)) for store in stores]
    for other in others:
        assert same_digests(first, other) == ["session 's' of ann: 1 messages and 1 messages, which differ"]
    assert same_digests(first, []) == ["session 's' of ann: 1 messages and nothing"]
    assert same_digests(first, first) == []


def test_a_number_is_the_same_whether_a_store_gives_it_with_a_point_or_not(open_store):
    digests = []
    for number in (2, 2.0):
        store = open_store("in-memory")
        store.for_owner("ann").append(
            [make_message("x", id="1", timestamp=NOON, properties={"n": [number]}, duration=number)]
        )
        digests.append(digest_sessions(store.for_owner("ann")))
    assert digests[0] == digests[1]
