"""Listing, renaming, merging and deleting sessions."""

import threading

import pytest


@pytest.fixture
def talk(each_site):
    flow = each_site.flow("ann")
    for number in range(6):
        each_site.say("ann", flow, f"hello {number}\n  and more", f"s{number % 3}")
    return each_site, flow


def test_sessions_come_latest_activity_first(talk):
    site, flow = talk
    assert site.sessions("ann") == ["s2", "s1", "s0"]
    site.say("ann", flow, "again", "s0")
    assert site.sessions("ann", f"?flow_id={flow}") == ["s0", "s2", "s1"]
    assert site.sessions("ann", "?limit=1&offset=1") == ["s2"]
    assert site.sessions("ann", "?q=S1") == ["s1"]
    assert site.sessions("bob") == site.sessions("bob", f"?flow_id={flow}") == []


def test_summaries_say_what_a_session_holds(talk):
    site, flow = talk
    found = site.sessions("ann", "?view=summary")
    assert found["cursor"] is None
    first = found["sessions"][0]
    messages = site.messages("ann", "?session_id=s2")
    assert first == {
        "session_id": "s2",
        "title": "hello 2 and more",
        "count": 4,
        "flow_ids": [flow],
        "first_at": messages[0]["timestamp"],
        "last_at": messages[-1]["timestamp"],
    }
    site.ask("ann", "GET", "/api/v1/monitor/messages/sessions?view=all", 422)


def test_a_long_beginning_is_cut_for_the_title(site):
    flow = site.flow("ann")
    site.say("ann", flow, "word " * 100, "s")
    (found,) = site.sessions("ann", "?view=summary")["sessions"]
    assert len(found["title"]) == 80 and found["title"].endswith("…")


def test_pages_by_cursor_stay_where_they_are(talk):
    site, flow = talk
    first = site.sessions("ann", "?view=summary&limit=2")
    assert [row["session_id"] for row in first["sessions"]] == ["s2", "s1"]
    site.say("ann", flow, "new", "s9")
    second = site.sessions("ann", f"?view=summary&limit=2&cursor={first['cursor']}")
    assert [row["session_id"] for row in second["sessions"]] == ["s0"] and second["cursor"] is None
    for wrong in ("nonsense", "W10", "e30"):
        site.ask("ann", "GET", f"/api/v1/monitor/messages/sessions?cursor={wrong}", 400)
    site.ask("bob", "GET", f"/api/v1/monitor/messages/sessions?cursor={first['cursor']}", 404)


def test_the_list_of_ids_leaves_out_those_of_an_assistant(site):
    flow = site.flow("ann")
    wanted = []
    for number in range(9):
        session = f"agentic_{number}" if number % 3 else f"s{number}"
        site.say("ann", flow, "x", session)
        wanted = [session, *wanted] if number % 3 == 0 else wanted
    assert site.sessions("ann") == wanted
    assert site.sessions("ann", "?limit=2") == wanted[:2] and site.sessions("ann", "?limit=2&offset=1") == wanted[1:]
    cursor = site.call("ann", "GET", "/api/v1/monitor/messages/sessions?limit=2").headers["X-Next-Cursor"]
    assert site.sessions("ann", f"?limit=2&cursor={cursor}") == wanted[2:]
    assert len(site.sessions("ann", "?view=summary")["sessions"]) == 9


def test_a_cursor_stays_short_whatever_the_ids(each_site):
    site = each_site
    flow = site.flow("ann")
    site.flow("bob")
    site.add_user("ann", "limited", flows=[flow, site.flow("ann")])
    ids = [f"{number}" + "💥" * 2000 for number in range(3)]
    for session in ids:
        site.say("ann", flow, "x", session)
    for user in ("ann", "limited", "root"):
        seen, cursor = [], ""
        while cursor is not None:
            page = site.sessions(user, f"?view=summary&limit=1{cursor}")
            seen += [row["session_id"] for row in page["sessions"]]
            assert len(page["cursor"] or "") < 2000
            cursor = page["cursor"] and f"&cursor={page['cursor']}"
        assert seen == ids[::-1]
    first = site.sessions("ann", "?view=summary&limit=1")["cursor"]
    site.ask("bob", "GET", f"/api/v1/monitor/messages/sessions?cursor={first}", 404)
    site.ask("ann", "DELETE", "/api/v1/monitor/messages/sessions", json=ids[2:])
    site.ask("ann", "GET", f"/api/v1/monitor/messages/sessions?cursor={first}", 404)


def test_a_merge_keeps_everything_in_order_of_time(talk):
    site, _ = talk
    every = site.messages("ann")
    moved = site.ask("ann", "PATCH", "/api/v1/monitor/messages/session/s0?new_session_id=s1")
    assert [m["text"] for m in moved] == [m["text"] for m in every if m["session_id"] == "s0"]
    assert {m["session_id"] for m in moved} == {"s1"}
    merged = site.messages("ann", "?session_id=s1")
    assert [m["id"] for m in merged] == [m["id"] for m in every if m["session_id"] in ("s0", "s1")]


def test_a_rename_to_itself_changes_nothing(talk):
    site, _ = talk
    before = site.messages("ann")
    moved = site.ask("ann", "PATCH", "/api/v1/monitor/messages/session/s0?new_session_id=s0")
    assert [m["id"] for m in moved] == [m["id"] for m in before if m["session_id"] == "s0"]
    assert site.messages("ann") == before


def test_a_rename_needs_a_name_and_a_session(talk):
    site, _ = talk
    path = "/api/v1/monitor/messages/session"
    site.ask("ann", "PATCH", f"{path}/s0", 422)
    site.ask("ann", "PATCH", f"{path}/s0?new_session_id=", 422)
    answer = site.ask("ann", "PATCH", f"{path}/absent?new_session_id=x", 404)
    assert answer["detail"] == "No messages found with the given session ID"
    assert site.ask("bob", "PATCH", f"{path}/s0?new_session_id=x", 404) == answer


def test_several_are_deleted_at_once(talk):
    site, _ = talk
    path = "/api/v1/monitor/messages/sessions"
    assert site.ask("ann", "DELETE", path, json=[]) == {"message": "No sessions to delete", "deleted_count": 0}
    site.ask("bob", "DELETE", path, json=["s0", "s1"])
    assert len(site.sessions("ann")) == 3
    answer = site.ask("ann", "DELETE", path, json=["s0", "s1"])
    assert answer == {"message": "Messages deleted successfully for 2 sessions", "deleted_count": 2}
    assert site.sessions("ann") == ["s2"]
    none = {"message": "No sessions to delete", "deleted_count": 0}
    assert site.ask("ann", "DELETE", path, json=["s0", "absent", ""]) == none
    assert site.ask("ann", "DELETE", path, json=["absent", "s2", "s2", "s0"]) == {
        "message": "Messages deleted successfully for 1 session",
        "deleted_count": 1,
    }
    assert site.sessions("ann") == []
    site.ask("ann", "DELETE", path, 422, json=["s2", 1])
    site.ask("ann", "DELETE", path, 422, json={"s2": 1})


def test_a_rename_waits_for_the_turn_of_a_run(site):
    flow = site.flow("ann")
    site.say("ann", flow, "one", "busy")
    owner = site.runner.stores.keys.list()[0].owner
    from flowrunner.components import CancelToken

    renamed = threading.Event()

    def rename():
        site.ask("ann", "PATCH", "/api/v1/monitor/messages/session/busy?new_session_id=later")
        renamed.set()

    with site.runner.services.turns.hold(owner, {"busy"}, cancelled=CancelToken()):
        thread = threading.Thread(target=rename)
        thread.start()
        assert not renamed.wait(0.3)
        assert site.sessions("ann") == ["busy"]
    assert renamed.wait(10)
    thread.join()
    assert site.sessions("ann") == ["later"]
