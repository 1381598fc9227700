"""Texts at rest, over a real backend and through a real run."""

import json

import pytest
from cryptography.fernet import Fernet
from flowrunner_encrypt import EncryptTexts

from flowrunner import (
    EVERY_OWNER,
    BadRequest,
    MemoryFailed,
    MessageChanges,
    MessageQuery,
    SettingsInvalid,
    make_content_block,
)
from flowrunner.app import create_app, runner_of
from flowrunner.identity import LOCAL_IDENTITY

KEY, OTHER = Fernet.generate_key().decode(), Fernet.generate_key().decode()
FLOW = {
    "components": {"question": {"type": "ChatInput"}, "answer": {"type": "ChatOutput"}},
    "edges": ["question -> answer"],
}


@pytest.fixture
def start(tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWRUNNER_PLUGINS_BLOCKED", "encrypt")
    (tmp_path / "echo.json").write_text(json.dumps(FLOW))
    started = []

    def start(keys=KEY, memory="file-json", plugins=(EncryptTexts,)):
        config = {"FLOWRUNNER_ENCRYPT_KEYS": keys} if plugins else {}
        places = {"flows_dir": str(tmp_path), "data_dir": tmp_path / "data"}
        app = create_app(config, memory=memory, plugins=plugins, run_log=False, **places)
        started.append(runner_of(app))
        return started[-1], runner_of(app).memory_of(LOCAL_IDENTITY)

    yield start
    for runner in started:
        runner.close()


@pytest.mark.parametrize("memory", ["file-json", "sqlite"])
def test_nothing_of_a_text_is_on_the_disk(start, memory, tmp_path):
    runner, mine = start(memory=memory)
    assert runner.run("echo", "the queen of diamonds", session_id="s1").text == "the queen of diamonds"
    assert [m.text for m in mine.fetch(session_id="s1")] == ["the queen of diamonds"] * 2
    runner.close()
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert files
    assert not any(b"queen" in path.read_bytes() for path in files)
    assert any(b"encrypted:" in path.read_bytes() for path in files)


def test_edits_and_content_blocks_are_encrypted_too(start):
    runner, mine = start()
    runner.run("echo", "hello", session_id="s1")
    block = make_content_block("Steps", [{"type": "text", "text": "queen"}])
    (first, _) = mine.fetch(session_id="s1")
    changes = MessageChanges(text="king", content_blocks=(block,))
    (changed,) = mine.update(changes, ids=(first.id,))
    assert (changed.text, changed.content_blocks) == ("king", (block,))
    assert changes.text == "king"
    assert mine.fetch(ids=(first.id,)) == [changed]
    (raw,) = runner.memory.backend.fetch_messages(MessageQuery(owner=EVERY_OWNER, ids=(first.id,)))
    assert raw.text.startswith("encrypted:")
    assert "queen" not in str(raw.content_blocks)


def test_searches_find_words_and_keep_their_windows(start):
    runner, mine = start()
    for text in ("red apple", "green apple", "red brick", "Red APPLE pie"):
        runner.run("echo", text, session_id="s1")
    assert [m.text for m in mine.fetch(text="apple red", sender="User")] == ["red apple", "Red APPLE pie"]
    assert [m.text for m in mine.fetch(text="apple", sender="User", limit=1, offset=1)] == ["green apple"]
    (first,) = mine.fetch(text="brick", sender="User")
    assert [m.text for m in mine.fetch(text="apple", sender="User", after=first.id, limit=1)] == ["Red APPLE pie"]
    for act in (mine.delete, lambda **query: mine.update(MessageChanges(edit=True), **query)):
        with pytest.raises(BadRequest, match="encrypted"):
            act(text="apple")


def test_a_new_key_goes_in_front(start):
    runner, _ = start()
    runner.run("echo", "old", session_id="s1")
    runner, mine = start(keys=f"{OTHER}, {KEY}")
    runner.run("echo", "new", session_id="s1")
    assert [m.text for m in mine.fetch(session_id="s1", sender="User")] == ["old", "new"]
    _, mine = start(keys=OTHER)
    with pytest.raises(MemoryFailed, match="none of the keys fits"):
        mine.fetch(session_id="s1")


def test_what_was_stored_before_stays_readable(start):
    runner, _ = start(plugins=())
    runner.run("echo", "plain", session_id="s1")
    runner, mine = start()
    assert [m.text for m in mine.fetch(session_id="s1")] == ["plain", "plain"]


@pytest.mark.parametrize("keys", ["", " , ", "no key", f"{KEY},x"])
def test_keys_are_wanted(start, keys):
    with pytest.raises(SettingsInvalid, match="FLOWRUNNER_ENCRYPT_KEYS") as caught:
        start(keys=keys)
    assert KEY not in caught.value.message
