"""A copy of a session up to one of its messages, and files that a run request names."""

import io
import json
import uuid

import pytest

from flowrunner.memory.message import Message
from flowrunner.store.keys import owner_of_user
from flowrunner.web import forks
from tests.web.site import BACKENDS, echo_flow

FORK = "/api/v1/monitor/messages/sessions/fork"


@pytest.fixture(params=BACKENDS)
def site(request, tmp_path, open_peopled):
    with open_peopled(tmp_path, memory=request.param) as site:
        site.owner = owner_of_user("ann")
        yield site


def fork(site, user, session, message, expect=201):
    return site.ask(user, "POST", FORK, expect, json={"session_id": session, "message_id": message})


def test_what_was_said_before_is_copied_and_the_session_stays(site):
    flow = site.flow("ann")
    for text in ("one", "two", "three"):
        site.say("ann", flow, text, "s/1")
    before = site.messages("ann", "?session_id=s/1")
    made = fork(site, "ann", "s/1", before[2]["id"])
    assert made["count"] == 2
    copies = site.messages("ann", f"?session_id={made['session_id']}")
    assert [row["text"] for row in copies] == ["one", "one"]
    assert [row["timestamp"] for row in copies] == [row["timestamp"] for row in before[:2]]
    assert not {row["id"] for row in copies} & {row["id"] for row in before}
    assert site.messages("ann", "?session_id=s/1") == before
    site.say("ann", flow, "otherwise", made["session_id"])
    assert site.texts("ann", f"?session_id={made['session_id']}") == ["one", "one", "otherwise", "otherwise"]


def test_before_the_first_message_nothing_is_copied(site):
    flow = site.flow("ann")
    site.say("ann", flow, "one", "s")
    made = fork(site, "ann", "s", site.messages("ann")[0]["id"])
    assert made["count"] == 0
    assert site.sessions("ann") == ["s"]


def test_only_ones_own_session_and_a_message_of_it(site):
    flow = site.flow("ann")
    site.say("ann", flow, "one", "s")
    message = site.messages("ann")[0]["id"]
    fork(site, "bob", "s", message, 404)
    fork(site, "ann", "other", message, 404)
    fork(site, "ann", "s", str(uuid.uuid4()), 404)
    fork(site, "ann", "", message, 422)
    site.add_user("ann", "reader", read_only=True)
    fork(site, "reader", "s", message, 403)
    assert site.sessions("bob") == []
    assert site.sessions("ann") == ["s"]


def test_a_key_of_one_flow_copies_what_it_sees(site):
    mine, other = site.flow("ann", echo_flow("mine")), site.flow("ann", echo_flow("other"))
    site.say("ann", other, "hidden", "s")
    site.say("ann", mine, "seen", "s")
    site.say("ann", mine, "last", "s")
    site.add_user("ann", "limited", flows=["mine"])
    rows = site.messages("limited", "?session_id=s")
    assert [row["text"] for row in rows] == ["seen", "seen", "last", "last"]
    made = fork(site, "limited", "s", rows[2]["id"])
    assert site.texts("ann", f"?session_id={made['session_id']}") == ["seen", "seen"]


def test_a_copy_has_a_bound(site, monkeypatch):
    monkeypatch.setattr(forks, "MOST_COPIED", 2)
    flow = site.flow("ann")
    for text in ("one", "two"):
        site.say("ann", flow, text, "s")
    rows = site.messages("ann")
    assert fork(site, "ann", "s", rows[2]["id"])["count"] == 2
    assert "2 messages" in fork(site, "ann", "s", rows[3]["id"], 400)["detail"]


def test_a_copy_has_a_bound_on_what_its_messages_hold_and_all_of_it_is_counted(site, monkeypatch):
    blocks = [{"title": "x", "contents": [{"type": "text", "text": "y" * 10_000}]}]
    said = [
        Message(text="z", sender="User", sender_name="User", session_id="s", content_blocks=tuple(blocks))
        for _ in range(3)
    ]
    site.runner.memory.for_owner(site.owner).append(said)
    rows, sizes = site.messages("ann"), []
    monkeypatch.setattr(site.runner, "count_upload", lambda identity, size: sizes.append(size))
    assert fork(site, "ann", "s", rows[2]["id"])["count"] == 2
    assert sizes[0] > 20_000
    monkeypatch.setattr(forks, "MOST_CHARACTERS", 15_000)
    assert fork(site, "ann", "s", rows[1]["id"])["count"] == 1
    assert "15000 characters" in fork(site, "ann", "s", rows[2]["id"], 400)["detail"]


def upload(site, user, flow):
    form = {"file": (io.BytesIO(b"x"), "x.txt")}
    made = site.ask(user, "POST", f"/api/v1/files/upload/{flow}", 201, data=form, content_type="multipart/form-data")
    return made["file_path"]


def test_files_of_a_request_are_those_of_its_message(site):
    flow = site.flow("ann")
    path = upload(site, "ann", flow)
    site.say("ann", flow, "look", "s", files=[path])
    site.say("ann", flow, "none", "s", files=[])
    site.say("ann", flow, "null", "s", files=None)
    assert [row["files"] for row in site.messages("ann") if row["sender"] == "User"] == [f'["{path}"]', "[]", "[]"]


def test_files_of_a_request_in_another_form_are_not_lost(site):
    flow = site.flow("ann")
    path, other = upload(site, "ann", flow), upload(site, "ann", flow)
    run = f"/api/v1/run/{flow}"
    body = {"input_value": "look", "session_id": "s"}
    site.ask("ann", "POST", run, json={"input_request": {**body, "files": [path]}})
    site.ask("ann", "POST", run, data={**body, "files": [path, other]}, content_type="multipart/form-data")
    site.ask("ann", "POST", run, data={**body, "files": ""}, content_type="multipart/form-data")
    shown = [json.loads(row["files"]) for row in site.messages("ann") if row["sender"] == "User"]
    assert shown == [[path], [path, other], []]
    site.ask("ann", "POST", run, 422, json={"input_request": {**body, "files": path}})


def test_files_of_others_and_what_is_none(site):
    flow = site.flow("ann")
    path = upload(site, "ann", flow)
    bobs = site.flow("bob")
    body = {"input_value": "x", "session_id": "s"}
    for user, mine, files in (
        ("bob", bobs, [path]),
        ("ann", flow, ["../../etc/passwd"]),
        ("ann", flow, [f"{flow}/no.txt"]),
    ):
        answer = site.call(user, "POST", f"/api/v1/run/{mine}", json={**body, "files": files})
        assert 400 <= answer.status_code < 500, answer.get_data(as_text=True)
    for files in ("x.txt", [1], {"a": 1}, [["x"]], ["x"] * 101):
        site.ask("ann", "POST", f"/api/v1/run/{flow}", 422, json={**body, "files": files})


def test_a_flow_without_a_chat_input_says_that_it_takes_none(site):
    flow = site.flow("ann", {"name": "no chat", "components": {"say": {"type": "TextOutput"}}, "edges": []})
    answer = site.ask("ann", "POST", f"/api/v1/run/{flow}", 422, json={"input_value": "x", "files": ["a"]})
    assert "no chat input" in str(answer["detail"])


def test_examples_of_flows_are_listed_for_those_who_may_only_talk_too(site):
    plain = site.flow("ann", {**echo_flow("plain"), "examples": [" Say hello ", "", 5, "x" * 501, "Say hello", "Bye"]})
    native = {
        "name": "native",
        "endpoint_name": "native",
        "components": {"a": {"type": "ChatInput"}},
        "edges": [],
        "examples": ["Go"],
    }
    site.flow("ann", native)
    site.flow("ann", echo_flow("none"))
    site.add_user("ann", "limited", flows=["plain", "native", "none"])
    for user in ("ann", "limited"):
        rows = site.ask(user, "GET", "/api/v1/flows/?header_flows=true")
        shown = {row["name"]: row.get("examples") for row in rows if row["name"] in ("plain", "native", "none")}
        assert shown == {"plain": ["Say hello", "Bye"], "native": ["Go"], "none": None}
    assert site.ask("ann", "GET", f"/api/v1/flows/{plain}")["examples"]
