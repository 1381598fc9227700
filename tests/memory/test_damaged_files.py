"""Files of conversations that somebody damaged: the others are readable, the damage is named, a command mends it."""

import logging

import pytest
from flowrunner_file_json.backend import FileJson

from flowrunner import EVERY_OWNER, MemoryFailed, MessageQuery, SessionQuery
from flowrunner.testing.memory.samples import make_message
from tests.fork_server import FORK_SERVER
from tests.live_server import ROOT, clean_environment

DAMAGE = {
    "no json": lambda lines: [*lines[:3], b"{bad\n", *lines[3:]],
    "no record": lambda lines: [*lines[:3], b'{"a": [1]}\n', *lines[3:]],
    "a list": lambda lines: [*lines[:3], b"[]\n", *lines[3:]],
    "a record without its parts": lambda lines: [*lines[:3], b'{"message": {}}\n', *lines[3:]],
    "bytes": lambda lines: [*lines[:3], b"\xff\x00\n", *lines[3:]],
    "emptied": lambda lines: [],
    "cut at a line": lambda lines: lines[:2],
}


def fetch(backend, session):
    return [m.text for m in backend.fetch_messages(MessageQuery(owner="ann", session_id=session))]


@pytest.mark.parametrize("again", [False, True], ids=["open", "opened again"])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=list(DAMAGE))
def test_the_others_are_readable_and_the_damage_is_named(tmp_path, damage, again, caplog):
    folder = tmp_path / "messages"
    backend = FileJson(folder)
    for number in range(4):
        for session in ("good", "bad"):
            backend.append_messages([make_message(f"{session} {number}", owner="ann", session_id=session)])
    path = next((folder / "sessions").glob("bad-*"))
    path.write_bytes(b"".join(damage(path.read_bytes().splitlines(keepends=True))))
    if again:
        backend.close()
        backend = FileJson(folder)
    assert fetch(backend, "good") == [f"good {number}" for number in range(4)]
    assert [s.session_id for s in backend.list_sessions(SessionQuery(owner="ann"))] == ["good"]
    assert len(backend.fetch_messages(MessageQuery(owner=EVERY_OWNER))) == 4
    with caplog.at_level(logging.ERROR), pytest.raises(MemoryFailed, match="damaged") as failed:
        fetch(backend, "bad")
    assert str(folder) not in str(failed.value)
    told = [record.getMessage() for record in caplog.records if str(path) in record.getMessage()]
    assert len(told) == 1, "said once, however often it is met"
    assert "flowrunner memory mend" in told[0]
    if "cut" not in told[0] and "bytes and had" not in told[0]:
        assert f"{path}, line 4" in told[0]
    backend.append_messages([make_message("on", owner="ann", session_id="good")])
    backend.close()
    command = ["memory", "mend", "--memory", "file-json", "--data-dir", tmp_path]
    said = FORK_SERVER.run(command, clean_environment(), ROOT)
    assert said.returncode == 0, said.stderr
    assert "1 damaged files" in said.stdout
    assert path.with_name(path.name + ".damaged").exists()
    mended = FileJson(folder)
    kept = fetch(mended, "bad")
    assert kept == [f"bad {number}" for number in range(len(kept))]
    assert len(kept) == {"emptied": 0, "cut at a line": 1}.get(next(k for k, v in DAMAGE.items() if v is damage), 4)
    mended.append_messages([make_message("goes on", owner="ann", session_id="bad")])
    assert fetch(mended, "bad")[-1] == "goes on"
    mended.close()
