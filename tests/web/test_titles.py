"""Titles of sessions: their owner's alone, found, moved, forgotten with what they name."""

import pytest

from flowrunner.store.ownership import give_things
from tests.web.site import BACKENDS, echo_flow

SESSIONS = "/api/v1/monitor/messages/sessions"


@pytest.fixture(params=BACKENDS)
def site(request, tmp_path, open_peopled):
    with open_peopled(tmp_path, memory=request.param) as site:
        site.say("ann", site.flow("ann"), "first words", "s/1")
        yield site


def entitle(site, title, session="s/1", user="ann", expect=200):
    return site.ask(user, "PATCH", SESSIONS, expect, json={"session_id": session, "title": title})


def titles(site, user="ann", q=""):
    found = site.sessions(user, f"?view=summary{q and f'&q={q}'}")["sessions"]
    return {one["session_id"]: one["title"] for one in found}


def test_a_title_is_shown_and_found_and_taken_away(site):
    assert titles(site) == {"s/1": "first words"}
    assert entitle(site, "  Straße 50%\n ")["title"] == "Straße 50%"
    assert titles(site) == {"s/1": "Straße 50%"}
    assert titles(site, q="STRASSE") == titles(site, q="50%25") == titles(site, q="s/1") == {"s/1": "Straße 50%"}
    assert titles(site, q="5_%25") == titles(site, q="other") == {}
    entitle(site, "")
    assert titles(site) == {"s/1": "first words"}


def test_it_is_its_owners_alone(site):
    site.say("bob", site.flow("bob"), "bob's", "s/1")
    entitle(site, "of ann")
    assert titles(site, "bob") == {"s/1": "bob's"}
    assert titles(site, "bob", q="ann") == {}
    entitle(site, "x", "nowhere", expect=404)
    site.add_user("root", admin=True)
    assert "of ann" not in str(site.sessions("root", "?view=summary"))


def test_a_limited_key_has_no_titles(site):
    mine = site.flow("ann", echo_flow("mine"))
    site.say("ann", mine, "of the flow", "s/1")
    entitle(site, "said elsewhere")
    site.add_user("ann", "limited", flows=["mine"])
    assert titles(site, "limited") == {"s/1": "of the flow"}
    assert titles(site, "limited", q="elsewhere") == {}
    entitle(site, "x", user="limited", expect=403)
    site.ask("limited", "DELETE", SESSIONS, json=["s/1"])
    assert titles(site) == {"s/1": "said elsewhere"}


def test_it_goes_along_with_a_rename_and_yields_where_two_become_one(site):
    flow = site.flow("ann")
    site.say("ann", flow, "others", "there")
    entitle(site, "of s/1")
    site.ask("ann", "PATCH", "/api/v1/monitor/messages/session/s%2F1?new_session_id=new")
    assert titles(site)["new"] == "of s/1"
    entitle(site, "of there", "there")
    site.ask("ann", "PATCH", "/api/v1/monitor/messages/session/new?new_session_id=there")
    assert titles(site) == {"there": "of there"}


@pytest.mark.parametrize("how", ["many", "one"])
def test_it_is_forgotten_with_its_session(site, how):
    entitle(site, "gone")
    if how == "many":
        site.ask("ann", "DELETE", SESSIONS, json=["s/1"])
    else:
        site.ask("ann", "DELETE", "/api/v1/monitor/messages/session/s%2F1", 204)
    site.say("ann", site.flow("ann"), "anew", "s/1")
    assert titles(site) == {"s/1": "anew"}


def test_a_purge_forgets_titles_of_what_is_gone(site):
    entitle(site, "kept")
    site.say("ann", site.flow("ann"), "more", "other")
    entitle(site, "gone", "other")
    site.runner.memory.for_owner(site.runner.stores.titles.all()[0][0]).delete(session_id="other")
    site.runner.purge(dry_run=True)
    assert len(site.runner.stores.titles.all()) == 2
    site.runner.purge()
    assert [row[2] for row in site.runner.stores.titles.all()] == ["s/1"]


@pytest.mark.parametrize("title", ["x" * 201, "a\0b", "\ud800", 5, None])
def test_what_is_no_title(site, title):
    entitle(site, title, expect=422)


def test_a_long_session_id_has_one_too(site):
    session = "\u2028😀" * 700
    site.say("ann", site.flow("ann"), "long", session)
    entitle(site, "of the long one", session)
    assert titles(site, q="long one") == {session: "of the long one"}


def test_they_are_given_with_what_else_an_owner_has(site, tmp_path):
    titles, engine = site.runner.stores.titles, site.runner.engine
    for owner, session, title in (("one", "a", "a of one"), ("one", "b", "b of one"), ("two", "b", "b of two")):
        titles.set(owner, session, title)
    give_things(engine, tmp_path, "one", "two")
    assert titles.of("two", ["a", "b"]) == {"a": "a of one", "b": "b of two"}
    assert titles.of("one", ["a", "b"]) == {}
