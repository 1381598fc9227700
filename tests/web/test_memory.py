"""The memory as the API shows it: what it is, how much it holds, and what retention would remove."""

import json
from datetime import timedelta

import pytest

from flowrunner.memory.message import Message, utc_now
from flowrunner.memory.purging import preview_purge
from flowrunner.memory.retention import read_rules
from flowrunner.memory.sizes import disk_size, size_of
from flowrunner.store.keys import owner_of_user
from tests.web.site import BACKENDS, echo_flow, open_site

PATH = "/api/v1/memory"
PREVIEW = "/api/v1/memory/purge/preview"


def messages(session, count, *, days=0, flow_id=None):
    when = utc_now() - timedelta(days=days)
    return [
        Message(session_id=session, sender="User", sender_name="User", text=f"{n}", timestamp=when, flow_id=flow_id)
        for n in range(count)
    ]


@pytest.fixture(params=BACKENDS)
def site(request, tmp_path, open_peopled):
    with open_peopled(tmp_path, memory=request.param, memory_retention="age=30d") as made:
        made.name = request.param
        made.owners = {user: owner_of_user(user) for user in ("ann", "bob")}
        yield made


def fill(site, user, session, count, **more):
    site.runner.memory.for_owner(site.owners[user]).append(messages(session, count, **more))


def preview(site, status=200, user="root", **body):
    return site.ask(user, "POST", PREVIEW, status, json=body)


def test_an_owner_sees_ones_own_numbers_and_an_admin_everybodys(site):
    fill(site, "ann", "a", 3)
    fill(site, "ann", "b", 2)
    fill(site, "bob", "a", 4)
    mine = site.ask("ann", "GET", PATH)
    assert (mine["sessions"], mine["messages"], mine["more"], mine["every_owner"]) == (2, 5, False, False)
    assert mine["backend"]["name"] == site.name
    assert mine["backend"]["durable"] == site.runner.memory.backend.durable
    assert (mine["backend"]["place"], mine["backend"]["bytes"], mine["retention"]) == (None, None, None)
    everybody = site.ask("root", "GET", PATH)
    assert (everybody["sessions"], everybody["messages"], everybody["every_owner"]) == (3, 9, True)
    assert everybody["retention"]["rules"] == ["age=30d"]
    assert (everybody["backend"]["place"] is None) == (site.name == "in-memory")
    assert (everybody["backend"]["bytes"] or 0) > 0 or site.name == "in-memory"


def test_a_key_of_one_flow_counts_what_was_said_there(site):
    one, other = site.flow("ann", echo_flow("one")), site.flow("ann", echo_flow("other"))
    site.add_user("ann", "limited", flows=["one"])
    fill(site, "ann", "a", 3, flow_id=one)
    fill(site, "ann", "b", 2, flow_id=other)
    seen = site.ask("limited", "GET", PATH)
    assert (seen["sessions"], seen["messages"], seen["backend"], seen["retention"]) == (1, 3, None, None)


def test_more_than_are_counted_are_said_to_be_more(site):
    for number in range(5):
        fill(site, "ann", f"s{number}", 2)
    own = site.runner.memory.for_owner(site.owners["ann"])
    assert size_of(own, 5) == size_of(own, 9)
    size = size_of(own, 3)
    assert (size.sessions, size.messages, size.more) == (3, 6, True)


def test_a_preview_removes_nothing_and_tells_what_a_purge_would(site):
    fill(site, "ann", "old", 3, days=40)
    fill(site, "bob", "old", 2, days=40)
    fill(site, "ann", "new", 4)
    found = preview(site)
    assert found["rules"] == [{"rule": "age=30d", "messages": 5, "sessions": 2}]
    assert (found["looked_at"], found["more"], found["after_session"]) == (3, False, None)
    tried = preview(site, rules="owner=* session=new newest=1; age=365d")
    assert [(rule["messages"], rule["sessions"]) for rule in tried["rules"]] == [(3, 1), (0, 0)]
    total = preview(site, rules="total=6")
    assert (total["rules"][0]["messages"], total["looked_at"]) == (3, None)
    assert site.ask("root", "GET", PATH)["messages"] == 9
    assert sum(purged.messages for purged in site.runner.purge()) == 5


def test_a_preview_goes_on_where_it_stopped(site):
    for number in range(7):
        fill(site, "ann" if number % 2 else "bob", f"s{number}", number + 1, days=40)
    rules, after, parts = read_rules("age=30d"), None, []
    while True:
        part = preview_purge(site.runner.memory, rules, after=after, most=2)
        parts.append((part.sessions, part.purged[0].messages))
        if part.last is None:
            break
        after = (part.last.owner, part.last.session_id)
    assert [sessions for sessions, _ in parts] == [2, 2, 2, 1]
    assert sum(number for _, number in parts) == 28


def test_time_is_bounded_also_within_one_session(site):
    fill(site, "ann", "long", 1200, days=40)
    fill(site, "ann", "short", 1, days=40)
    part = preview_purge(site.runner.memory, read_rules("age=30d"), stopped=lambda: True)
    assert (part.sessions, part.last.session_id) == (1, "short")
    after = (part.last.owner, part.last.session_id)
    rest = preview_purge(site.runner.memory, read_rules("age=30d"), after=after, stopped=lambda: True)
    assert rest.last is None and rest.cut
    assert 0 < rest.purged[0].messages < 1200


def test_where_to_go_on_may_be_gone(site):
    fill(site, "ann", "a", 1)
    preview(site, 404, after_session="gone", after_owner=site.owners["ann"])
    preview(site, 404, after_session="a", after_owner=site.owners["bob"])


@pytest.mark.parametrize("rules", ["age", "age=x", "newest=-1", "nothing=1", "[", "[1]", "[" * 9000, "a" * 20_000])
def test_what_are_no_rules(tmp_path, rules):
    with open_site(tmp_path) as site:
        site.add_user("root", admin=True)
        assert len(json.dumps(preview(site, 400, rules=rules))) < 11_000
        assert "FLOWRUNNER_MEMORY_RETENTION" in preview(site, 400)["detail"]


def test_it_is_the_admins_to_ask(site):
    for user in ("ann", "bob"):
        preview(site, 403, user=user)
    site.add_user("root", "root-reads", admin=True, read_only=True)
    assert preview(site, user="root-reads")["looked_at"] == 0
    named = site.call("root", "POST", f"{PREVIEW}?owner={site.owners['ann']}", json={})
    assert named.status_code == 403, "in the name of somebody who may not"


def test_the_user_of_an_open_server_is_alone_there(tmp_path):
    with open_site(tmp_path, auth="none", memory="sqlite") as site:
        facts = site.ask(None, "GET", PATH)
        assert facts["backend"]["place"] and facts["retention"] == {"rules": [], "every": None}
        assert preview(site, user=None, rules="age=1d")["looked_at"] == 0


def test_what_lies_on_the_disk_is_counted_within_bounds(tmp_path):
    for number in range(5):
        (tmp_path / f"folder{number % 2}").mkdir(exist_ok=True)
        (tmp_path / f"folder{number % 2}" / f"{number}.jsonl").write_text("x" * 10)
    (tmp_path / "away").symlink_to("/")
    assert (disk_size(str(tmp_path)).bytes - (tmp_path / "away").lstat().st_size, disk_size(str(tmp_path)).more) == (
        50,
        False,
    )
    assert disk_size(str(tmp_path), most=3).more
    assert disk_size(str(tmp_path / "folder0" / "0.jsonl")).bytes == 10
    for place in ("", "relative", "postgresql+psycopg://ann:***@host/db", str(tmp_path / "gone")):
        assert disk_size(place) is None
