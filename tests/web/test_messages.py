"""Reading, editing and deleting messages."""

import uuid

import pytest


@pytest.fixture
def talk(each_site):
    """A site, and the flow in which Ann said ten things."""
    flow = each_site.flow("ann")
    for number in range(10):
        each_site.say("ann", flow, f"word {number}", f"s{number % 2}")
    return each_site, flow


def test_pages_by_cursor_give_every_message_once(talk):
    site, flow = talk
    seen, cursor = [], ""
    for _ in range(20):
        answer = site.call("ann", "GET", f"/api/v1/monitor/messages?flow_id={flow}&limit=3{cursor}")
        page = answer.get_json()
        seen = [message["id"] for message in page] + seen
        if "X-Next-Cursor" not in answer.headers:
            break
        assert len(page) == 3
        cursor = f"&cursor={answer.headers['X-Next-Cursor']}"
        site.say("ann", flow, "in between", "other")
    assert len(seen) == len(set(seen)) == 20
    assert seen == [m["id"] for m in site.messages("ann") if m["text"].startswith("word")]


def test_a_page_ends_where_its_messages_are_large_and_the_cursor_goes_on(talk, monkeypatch):
    site, _ = talk
    whole = site.ask("ann", "GET", "/api/v1/monitor/messages?limit=200")
    monkeypatch.setattr("flowrunner.web.messages.MOST_CHARACTERS", 1500)
    found, cursor = [], ""
    while True:
        answer = site.call("ann", "GET", f"/api/v1/monitor/messages?limit=200{cursor}")
        page = answer.get_json()
        assert answer.status_code == 200 and 0 < len(page) < len(whole)
        found = page + found
        if "X-Next-Cursor" not in answer.headers:
            break
        cursor = f"&cursor={answer.headers['X-Next-Cursor']}"
    assert found == whole


def test_a_cursor_that_is_gone_or_foreign_is_not_there(talk):
    site, flow = talk
    foreign = site.flow("bob")
    site.say("bob", foreign, "x", "s")
    theirs = site.messages("bob")[0]["id"]
    for cursor in (theirs, str(uuid.uuid4())):
        answer = site.ask("ann", "GET", f"/api/v1/monitor/messages?cursor={cursor}", 404)
        assert answer["code"] == "not_found"
    site.ask("ann", "GET", "/api/v1/monitor/messages?cursor=nonsense", 422)


def test_search_finds_words_in_any_case(talk):
    site, _ = talk
    assert site.texts("ann", "?q=WORD+3") == ["word 3"] * 2
    assert site.texts("ann", "?q=ord&limit=2") == ["word 9"] * 2
    assert site.texts("ann", "?q=absent") == []
    assert site.texts("bob", "?q=word") == []


def test_without_a_field_to_sort_by_the_newest_stands_first(talk):
    site, _ = talk
    oldest_first = site.texts("ann")
    for order in ("", "&order=ASC", "&order=desc"):
        assert site.texts("ann", f"?order_by={order}") == oldest_first[::-1]
    assert site.texts("ann", "?order_by=&limit=3") == oldest_first[:-4:-1]
    site.ask("ann", "GET", "/api/v1/monitor/messages?order_by=&order=up", 400)


def test_context_filters(talk):
    site, _ = talk
    message = site.messages("ann")[0]["id"]
    site.ask("ann", "PUT", f"/api/v1/monitor/messages/{message}", json={"context_id": "c1"})
    assert [m["id"] for m in site.messages("ann", "?context_id=c1")] == [message]
    assert site.messages("ann", "?context_id=c") == []


def test_an_edit_changes_what_it_names_and_nothing_else(talk):
    site, flow = talk
    before = site.messages("ann", f"?flow_id={flow}")
    wanted = before[3]
    path = f"/api/v1/monitor/messages/{wanted['id']}"
    changes = {"text": "new", "id": str(uuid.uuid4()), "flow_id": None, "timestamp": "2020-01-01", "nonsense": 1}
    edited = site.ask("ann", "PUT", path, json=changes)
    assert edited["text"] == "new" and edited["edit"] and edited["files"] == [] and "duration" not in edited
    assert (edited["id"], edited["timestamp"]) == (wanted["id"], wanted["timestamp"])
    after = site.messages("ann", f"?flow_id={flow}")
    assert after == [*before[:3], {**wanted, "text": "new", "edit": True}, *before[4:]]
    assert site.ask("ann", "PUT", path, json={"edit": False})["edit"] is False
    assert site.ask("ann", "PUT", path, json={"text": "new", "edit": False})["edit"] is False
    assert site.ask("ann", "PUT", path, json={"text": "newer", "edit": False})["edit"] is True
    assert site.ask("ann", "PUT", path, json={})["text"] == "newer"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"text": 5}, ["body", "text"]),
        ({"session_id": ""}, ["body", "session_id"]),
        ({"sender": ""}, ["body", "sender"]),
        ({"edit": "yes"}, ["body", "edit"]),
        ({"files": "x"}, ["body", "files"]),
        ({"files": [1]}, ["body", "files", 0]),
        ({"properties": []}, ["body", "properties"]),
        ({"content_blocks": [1]}, ["body", "content_blocks", 0]),
        ({"session_metadata": "x"}, ["body", "session_metadata"]),
        ([1], ["body"]),
    ],
)
def test_a_wrong_edit_is_refused_with_its_place(site, body, place):
    flow = site.flow("ann")
    site.say("ann", flow, "x", "s")
    message = site.messages("ann")[0]
    answer = site.ask("ann", "PUT", f"/api/v1/monitor/messages/{message['id']}", 422, json=body)
    assert [entry["loc"] for entry in answer["detail"]] == [place]
    assert site.messages("ann")[0] == message


@pytest.mark.parametrize("member", ["properties", "session_metadata"])
def test_an_edit_may_nest_as_deep_as_every_reader_can_follow(each_site, member):
    site = each_site
    flow = site.flow("ann")
    site.say("ann", flow, "é", "s")
    path = f"/api/v1/monitor/messages/{site.messages('ann')[0]['id']}"
    for levels, status in ((100, 200), (198, 200), (199, 422), (330, 422), (500, 422), (900, 422)):
        body = f'{{"{member}": {{"é": {"[" * levels}{"]" * levels}}}}}'
        for data in (body, body.replace("é", "\\u00e9")):
            answer = site.call("ann", "PUT", path, data=data, content_type="application/json")
            assert answer.status_code == status, (levels, answer.get_data(as_text=True)[:200])
        assert len(site.messages("ann")) == len(site.messages("root")) == 2
        site.say("ann", flow, "on", f"s{levels}-{member}")
        assert (
            len(site.ask("ann", "PATCH", f"/api/v1/monitor/messages/session/s{levels}-{member}?new_session_id=x")) == 2
        )
        site.ask("ann", "DELETE", "/api/v1/monitor/messages/session/x", 204)


def test_a_file_that_is_not_ones_own_is_refused_in_an_edit(site):
    flow = site.flow("ann")
    site.say("ann", flow, "x", "s")
    path = f"/api/v1/monitor/messages/{site.messages('ann')[0]['id']}"
    for name in ("../x", "/etc/passwd", "x"):
        answer = site.ask("ann", "PUT", path, 400, json={"files": [name]})
        assert answer["detail"] == "Message attachment is outside the permitted storage scope."


def test_messages_are_deleted_by_id_and_others_pass_over(talk):
    site, flow = talk
    ids = [message["id"] for message in site.messages("ann", f"?flow_id={flow}")]
    site.ask("bob", "DELETE", "/api/v1/monitor/messages", 204, json=ids)
    assert len(site.messages("ann")) == 20
    site.ask("ann", "DELETE", "/api/v1/monitor/messages", 204, json=[*ids[:5], str(uuid.uuid4())])
    assert [message["id"] for message in site.messages("ann")] == ids[5:]
    many = [str(uuid.uuid4()) for _ in range(1200)]
    site.ask("ann", "DELETE", "/api/v1/monitor/messages", 204, json=many + ids)
    assert site.messages("ann") == []


def test_more_ids_than_a_request_may_have_are_refused(site):
    site.ask("ann", "DELETE", "/api/v1/monitor/messages", 400, json=[str(uuid.uuid4())] * 10_001)
    site.ask("ann", "DELETE", "/api/v1/monitor/messages/sessions", 400, json=["x"] * 501)


def test_a_body_that_is_no_json_is_refused(site):
    path = "/api/v1/monitor/messages"
    site.ask("ann", "DELETE", path, 415, data="a=b", content_type="application/x-www-form-urlencoded")
    site.ask("ann", "DELETE", path, 422, data="[", content_type="application/json")
    site.ask("ann", "DELETE", path, 422)
    site.ask("ann", "DELETE", path, 400, data=b'["\xff"]', content_type="application/json")
