"""Two owners with the same flow, names and sessions: neither sees, counts, changes or guesses what is the other's."""

import base64
import io
import json
import re
import uuid
from datetime import datetime, timezone
from urllib.parse import urlencode

import pytest

from flowrunner import Chunk
from flowrunner.memory.message import Message
from flowrunner.store.keys import owner_of_user
from tests.project.expected import declared_routes
from tests.waiting import wait_until
from tests.web.site import echo_flow, open_endpoints, open_site

#: Not of the API.
OTHER = {"static", "nothing_here", "nothing_at_root"}
VARIABLE = {"value": "x", "type": "Generic", "default_fields": []}
FORM = {"content_type": "multipart/form-data"}


def routes(site):
    """Return name, rule and method of all routes that want a key."""
    found = []
    for rule in site.app.url_map.iter_rules():
        name = rule.endpoint.rsplit(".", 1)[-1]
        if name not in open_endpoints(site.app) | OTHER:
            for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
                found.append((name, str(rule), method))
    # With this one an owner gives a flow of their own an id that they choose, so it comes last.
    return sorted(found, key=lambda route: (route[0] == "put_flow", *route))


def fill(rule, ids):
    """Return the address of a rule with ids in it."""
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: ids[found[1]], rule)


#: Every route, with what it declares.
DECLARED = {route.name: route for route in declared_routes()}

#: With which value a query parameter is tried, by its name, or by route and name where a name means two things.
#: Those that name something come first; each is tried with each of the others.
NAMING = {
    "flow_id": lambda ids: ids["flow_id"],
    "session_id": lambda ids: ids["session_id"],
    "folder_id": lambda ids: ids["project_id"],
    "q": lambda ids: ids["word"],
    "collection": lambda ids: ids["word"],
    "document": lambda ids: f"{ids['word']}.txt",
    "list_sessions q": lambda ids: ids["session_id"],
    "cursor": lambda ids: ids["message_id"],
    "list_runs cursor": lambda ids: ids["run_id"],
    "list_sessions cursor": lambda ids: session_cursor(ids["session_id"], ids["user"]),
}
SHAPING = {
    "sender": "User",
    "sender_name": "User",
    "context_id": "c",
    "end_user_id": "u",
    "order_by": "text",
    "order": "DESC",
    "limit": "1",
    "offset": "1",
    "view": "summary",
    "all": "true",
    "after": "0",
    "page": "2",
    "size": "1",
    "get_all": "false",
    "header_flows": "true",
    "status": "success",
    "new_session_id": "taken",
    "background": "true",
    "stream": "true",
    "vertices": "true",
    "envelope": "1.0",
    "events": "openai",
}


def session_cursor(session_id, user):
    """Return what the list of sessions gives as the cursor of a session."""
    return base64.urlsafe_b64encode(json.dumps([session_id, owner_of_user(user)]).encode()).decode().rstrip("=")


def value_of(route, name, ids):
    """Return the value with which a query parameter of a route is tried."""
    for key in (f"{route.name} {name}", name):
        if key in NAMING:
            return NAMING[key](ids)
    assert name in SHAPING, f"say in NAMING or SHAPING with which value {route.name} is tried for its {name!r}"
    return SHAPING[name]


def queries(name, ids):
    """Return the queries with which an operation is tried, made of the parameters that it declares.

    The first names the flow, where that can be asked for. The others have what must be there alone, each
    other parameter with it, and each that names something together with each other one.
    """
    route = DECLARED[name]
    values = {parameter: value_of(route, parameter, ids) for parameter in route.query}
    needed = {parameter for parameter, field in route.query.items() if field.required}
    naming = {parameter for parameter in values if parameter in NAMING}
    tried = [needed | (values.keys() & {"flow_id"}), needed]
    tried += [needed | {parameter} for parameter in values]
    tried += [needed | {one, other} for one in sorted(naming) for other in values]
    found = (urlencode({name: values[name] for name in sorted(names)}) for names in tried)
    return list(dict.fromkeys(found))


def bodies(name, ids):
    """Return what is sent to an operation."""
    flow = {**echo_flow(f"made-{uuid.uuid4()}"), "id": ids["flow_id"]}
    project = {
        "create": {"json": {"name": f"p-{uuid.uuid4()}", "flows_list": [ids["flow_id"]]}},
        "change": {"json": {"name": f"p-{uuid.uuid4()}", "flows": [ids["flow_id"]]}},
        "upload": {"data": {"file": (io.BytesIO(b'{"flows": []}'), "flows.json")}, **FORM},
    }
    return {
        **{f"{verb}_{kind}": body for verb, body in project.items() for kind in ("project", "folder")},
        "run": {"json": {"input_value": "x", "session_id": "elsewhere"}},
        "responses": {"json": {"model": ids["flow"], "input": "x"}},
        "webhook": {"json": {"x": 1}},
        "create_flow": {"json": {**flow, "id": None}},
        "create_flows": {"json": {"flows": []}},
        "upload_flows": {"data": {"file": (io.BytesIO(b'{"flows": []}'), "flows.json")}, **FORM},
        "delete_flows": {"json": [ids["flow_id"]]},
        "download_flows": {"json": [ids["flow_id"]]},
        "change_flow": {"json": {"name": f"mine-{uuid.uuid4()}"}},
        "put_flow": {"json": flow},
        "create_variable": {
            "json": {"name": f"v{uuid.uuid4()}", "value": "x", "type": "Generic", "default_fields": []}
        },
        "change_variable": {"json": {"value": "changed"}},
        "delete_messages": {"json": [ids["message_id"]]},
        "edit_message": {"json": {"text": "changed"}},
        "delete_sessions": {"json": [ids["session_id"]]},
        "title_session": {"json": {"session_id": ids["session_id"], "title": "mine now"}},
        "fork_session": {"json": {"session_id": ids["session_id"], "message_id": ids["message_id"]}},
        "upload_file": {"data": {"file": (io.BytesIO(b"x"), "x.txt")}, **FORM},
        "upload_own_file": {"data": {"file": (io.BytesIO(b"x"), f"{uuid.uuid4()}.txt")}, **FORM},
        "create_key": {"json": {"user": ids["user"]}},
        "preview_memory_purge": {"json": {"rules": "newest=1"}},
        "render_texts": {"json": {"texts": ["x"]}},
    }.get(name, {})


def furnish(site, user, word):
    """Give a user one of everything and return the ids."""
    flow = site.flow(user, echo_flow("shared"))
    site.say(user, "shared", f"{word} one", "shared")
    site.say(user, "shared", f"{word} two", f"only-{user}")
    file = {"file": (io.BytesIO(word.encode()), f"{word}.txt")}
    kept = site.ask(user, "POST", f"/api/v1/files/upload/{flow}", 201, data=file, **FORM)
    file = {"file": (io.BytesIO(word.encode()), f"{word}.txt")}
    own = site.ask(user, "POST", "/api/v2/files/", 201, data=file, **FORM)
    vectors = site.runner.vectors.for_owner(owner_of_user(user))
    vectors.upsert(word, [Chunk("one", word, [1.0], f"{word}.txt")])
    body = {"name": "shared", "value": word, "type": "Generic", "default_fields": []}
    variable = site.ask(user, "POST", "/api/v1/variables/", 201, json=body)
    project = {"name": "shared", "description": word, "flows_list": [flow]}
    project = site.ask(user, "POST", "/api/v1/projects/", 201, json=project)
    return {
        "project_id": project["id"],
        "flow": flow,
        "flow_id": flow,
        "session_id": f"only-{user}",
        "message_id": site.messages(user)[0]["id"],
        "run_id": (run_id := site.ask(user, "GET", "/api/v1/runs")["items"][0]["id"]),
        "trace_id": run_id,
        "name": kept["file_path"].split("/")[1],
        "file_id": own["id"],
        "variable_id": variable["id"],
        "key_id": site.ask(user, "GET", "/api/v1/api_key/")["api_keys"][0]["id"],
        "user": user,
        "word": word,
    }


def unknown_ids():
    """Return ids of nothing."""
    names = ("project_id", "flow", "flow_id", "message_id", "run_id", "trace_id", "file_id", "variable_id", "key_id")
    ids = {name: str(uuid.uuid4()) for name in names}
    ids["flow_id"] = ids["flow"]
    return {**ids, "session_id": f"only-{uuid.uuid4()}", "name": "zq1.txt", "user": "zq2", "word": "zq3"}


def world(site, user, flow):
    """Return everything that a user sees."""
    places = (
        "/api/v1/monitor/messages",
        "/api/v1/monitor/messages/sessions?view=summary",
        f"/api/v1/monitor/builds?flow_id={flow}&all=true",
        f"/api/v1/monitor/transactions?flow_id={flow}",
        "/api/v1/runs",
        "/api/v1/flows/",
        "/api/v1/projects/",
        "/api/v1/variables/",
        f"/api/v1/files/list/{flow}",
        "/api/v2/files/",
    )
    seen = {place: site.ask(user, "GET", place) for place in places}
    keys = site.ask(user, "GET", "/api/v1/api_key/")["api_keys"]
    return {**seen, "keys": [{**key, "last_used_at": None} for key in keys]}


def test_nothing_of_another_is_seen_or_touched(each_site):
    assert walk(each_site) > 120


def walk(site, most=None):
    """Ask every route for what is another's, with so many of its queries; return how many times that was."""
    mine, theirs = furnish(site, "ann", "annword"), furnish(site, "bob", "bobword")
    steps = f"/api/v1/monitor/transactions?flow_id={theirs['flow_id']}"
    assert wait_until(lambda: site.ask("bob", "GET", steps)["total"] == 4)
    before = world(site, "bob", theirs["flow_id"])
    tried = 0
    for name, rule, method in routes(site):
        for number, query in enumerate(queries(name, theirs)[:most]):
            nothing = unknown_ids()
            others = queries(name, nothing)[number]
            answers = []
            for ids, asked in ((theirs, query), (nothing, others)):
                answer = site.call("ann", method, f"{fill(rule, ids)}?{asked}", **bodies(name, ids))
                text = answer.get_data().decode("utf-8", "replace")
                assert "bobword" not in text.replace(theirs["name"], "")
                answers.append((answer.status_code, without_ids(text, ids)))
                answer.close()
            assert answers[0] == answers[1], f"{method} {rule}?{query} tells what is there from what is not"
            tried += 1
    assert world(site, "bob", theirs["flow_id"]) == before
    assert mine["flow_id"] != theirs["flow_id"]
    return tried


def test_what_another_adds_changes_none_of_ones_answers(each_site):
    site = each_site
    mine = furnish(site, "ann", "annword")
    wait_until(lambda: site.ask("ann", "GET", f"/api/v1/monitor/transactions?flow_id={mine['flow_id']}")["total"] == 4)

    def answers():
        return {
            (name, query): read(site.call("ann", method, f"{fill(rule, mine)}?{query}", **bodies(name, mine)))
            for name, rule, method in routes(site)
            if method == "GET" or DECLARED[name].needs.reading
            for query in queries(name, mine)
        }

    before = answers()
    furnish(site, "bob", "bobword")
    assert answers() == before
    assert {"list_messages", "list_sessions", "list_runs", "list_flows", "list_keys"} < {name for name, _ in before}
    assert any("annword" in text for _, text in before.values())


def read(answer):
    """Return the status and the text of an answer, without the moment at which the key was used last."""
    text = answer.get_data().decode("utf-8", "replace")
    answer.close()
    return answer.status_code, re.sub(r'"last_used_at":"[^"]*"', '"last_used_at":null', text)


def without_ids(text, ids):
    """Return an answer without what was asked for, and without what differs each time."""
    for name, value in ids.items():
        text = text.replace(value, name)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "id", text)
    return re.sub(r"\d{4}-\d\d-\d\d[T _][\d:.-]+( UTC|Z|\+00:00)?|\"created_at\":\d+", "moment", text)


def test_the_same_names_are_ones_own(each_site):
    site = each_site
    mine, theirs = furnish(site, "ann", "annword"), furnish(site, "bob", "bobword")
    assert site.texts("ann", "?session_id=shared") == ["annword one"] * 2
    before = world(site, "bob", theirs["flow_id"])
    site.ask("ann", "PATCH", "/api/v1/monitor/messages/session/shared?new_session_id=only-bob")
    site.ask("ann", "DELETE", "/api/v1/monitor/messages/session/only-bob", 204)
    site.ask("ann", "DELETE", "/api/v1/monitor/messages/sessions", json=["shared", "only-ann", "only-bob"])
    site.ask("ann", "DELETE", f"/api/v1/monitor/builds?flow_id={mine['flow_id']}", 204)
    site.ask("ann", "DELETE", f"/api/v1/flows/{mine['flow_id']}")
    assert site.messages("ann") == [] and site.sessions("ann") == []
    assert world(site, "bob", theirs["flow_id"]) == before
    assert site.say("bob", "shared", "again", "shared")["session_id"] == "shared"


@pytest.mark.parametrize(
    ("headers", "statuses"),
    [
        ({}, {403}),
        ({"x-api-key": ""}, {403}),
        ({"x-api-key": "fr-wrong"}, {403}),
        ({"Authorization": "Bearer fr-wrong"}, {401, 403}),
        ({"Authorization": "Basic YTpi"}, {403}),
    ],
    ids=["none", "empty", "wrong", "bearer", "basic"],
)
def test_every_route_wants_a_key(make_site, headers, statuses):
    site = make_site(max_wrong_keys=10_000)
    found = set(routes(site))
    assert len(found) > 40
    for _, rule, method in found:
        for ids in (unknown_ids(), dict.fromkeys(unknown_ids(), "nonsense")):
            answer = site.call(None, method, fill(rule, ids), headers=headers, data=b"{broken")
            assert answer.status_code in statuses, f"{method} {rule} without a key: {answer.status_code}"
            said = {"detail", "code", "error"} if rule.endswith("/responses") else {"detail", "code"}
            assert json.loads(answer.data).keys() == said


def test_what_is_open_tells_nothing_of_anybody(site):
    furnish(site, "ann", "annword")
    for path in ("/health", "/health_check", "/ready", "/api/v1/version", "/api/v1/config", "/openapi.json"):
        text = site.call(None, "GET", path).get_data(as_text=True)
        assert "annword" not in text and site.keys["ann"] not in text
        # The description has the word for what a backend may be.
        assert "shared" not in text or path == "/openapi.json"


def test_a_key_for_reading_changes_nothing(site):
    site.add_user("ann", "reader", read_only=True)
    mine = furnish(site, "ann", "annword")
    before = world(site, "ann", mine["flow_id"])
    for name, rule, method in routes(site):
        if method != "GET" and name != "download_flows":
            query = queries(name, mine)[0]
            site.ask("reader", method, f"{fill(rule, mine)}?{query}", 403, **bodies(name, mine))
    assert world(site, "ann", mine["flow_id"]) == before == world(site, "reader", mine["flow_id"])


@pytest.mark.parametrize("by", ["id", "endpoint"])
def test_a_key_of_one_flow_reaches_that_flow_alone(each_site, by):
    site = each_site
    one, other = site.flow("ann", echo_flow("one")), site.flow("ann", echo_flow("other"))
    site.add_user("ann", "limited", flows=[one if by == "id" else "one"])
    for flow in (one, other):
        for session in ("both", f"in-{flow}"):
            site.say("ann", flow, f"to {flow}", session)
    everything = world(site, "ann", other)

    assert {m["flow_id"] for m in site.messages("limited")} == {one}
    assert site.messages("limited", f"?flow_id={other}") == []
    assert site.messages("limited", f"?session_id=in-{other}") == []
    assert set(site.sessions("limited")) == {"both", f"in-{one}"}
    summary = {s["session_id"]: s for s in site.sessions("limited", "?view=summary")["sessions"]}
    assert summary["both"]["count"] == 2 and summary["both"]["flow_ids"] == [one]
    runs = site.ask("limited", "GET", "/api/v1/runs")["items"]
    assert {run["flow_id"] for run in runs} == {one} and len(runs) == 2
    foreign = next(r["id"] for r in site.ask("ann", "GET", f"/api/v1/runs?flow_id={other}")["items"])
    site.ask("limited", "GET", f"/api/v1/runs/{foreign}", 404)

    site.ask("limited", "POST", f"/api/v1/run/{other}", 404, json={})
    listed = site.ask("limited", "GET", "/api/v1/flows/")
    assert [(flow["id"], flow["data"]) for flow in listed] == [(one, None)]
    for method, path in (
        *((verb, f"/api/v1/flows/{flow}") for verb in ("GET", "PATCH", "PUT", "DELETE") for flow in (one, other)),
        *((verb, f"/api/v1/monitor/builds?flow_id={flow}") for verb in ("GET", "DELETE") for flow in (one, other)),
        ("GET", f"/api/v1/monitor/transactions?flow_id={one}"),
        ("POST", "/api/v1/flows/"),
        ("GET", "/api/v1/variables/"),
        ("POST", "/api/v1/variables/"),
        ("GET", "/api/v1/api_key/"),
        ("POST", "/api/v1/api_key/"),
        ("GET", "/api/v2/files/"),
        ("POST", "/api/v2/files/"),
    ):
        site.ask("limited", method, path, 403, json=None if method == "GET" else {})
    site.ask("limited", "GET", f"/api/v1/files/list/{other}", 404)

    ids = [m["id"] for m in site.messages("ann") if m["flow_id"] == other]
    site.ask("limited", "DELETE", "/api/v1/monitor/messages", 204, json=ids)
    site.ask("limited", "PUT", f"/api/v1/monitor/messages/{ids[0]}", 404, json={"text": "x"})
    site.ask("limited", "PATCH", f"/api/v1/monitor/messages/session/in-{other}?new_session_id=x", 404)
    site.ask("limited", "DELETE", f"/api/v1/monitor/messages/session/in-{other}", 204)
    assert world(site, "ann", other) == everything
    moved = site.ask("limited", "PATCH", "/api/v1/monitor/messages/session/both?new_session_id=moved")
    assert {m["flow_id"] for m in moved} == {one} and len(moved) == 2
    site.ask("limited", "DELETE", "/api/v1/monitor/messages/sessions", json=["both", "moved", f"in-{one}"])
    assert {m["flow_id"] for m in site.messages("ann")} == {other} and len(site.messages("ann")) == 4


def test_a_key_of_two_flows_sees_both_in_order(each_site):
    site = each_site
    flows = [site.flow("ann", echo_flow(name)) for name in ("one", "two", "three")]
    site.add_user("ann", "limited", flows=["one", flows[1], "gone"])
    for number in range(9):
        site.say("ann", flows[number % 3], f"word {number}", f"s{number % 2}")
    wanted = [t for t in site.texts("ann") if int(t.split()[1]) % 3 < 2]
    assert site.texts("limited") == wanted
    pages, cursor = [], ""
    while True:
        answer = site.call("limited", "GET", f"/api/v1/monitor/messages?limit=5{cursor}")
        pages = [m["text"] for m in answer.get_json()] + pages
        if "X-Next-Cursor" not in answer.headers:
            break
        cursor = f"&cursor={answer.headers['X-Next-Cursor']}"
    assert pages == wanted
    first = site.sessions("limited", "?view=summary&limit=1")
    second = site.sessions("limited", f"?view=summary&limit=1&cursor={first['cursor']}")
    assert {s["session_id"]: s["count"] for s in first["sessions"] + second["sessions"]} == {"s1": 6, "s0": 6}
    site.ask("limited", "DELETE", "/api/v1/monitor/messages/session/s0", 204)
    assert site.texts("ann", "?session_id=s0") == ["word 2"] * 2 + ["word 8"] * 2


def test_pages_of_a_key_of_two_flows_lose_nothing_where_times_run_against_the_order(each_site):
    site = each_site
    flows = [site.flow("ann", echo_flow(name)) for name in ("one", "two", "three")]
    site.add_user("ann", "limited", flows=flows[:2])
    memory = site.runner.memory.for_owner(owner_of_user("ann"))
    for number in range(12):
        day = datetime(2026, 1, 20 - number if number % 2 else 1 + number, tzinfo=timezone.utc)
        said = Message(text=str(number), session_id="s", sender="U", sender_name="U", timestamp=day)
        memory.append([said.replace(flow_id=flows[number % 3])])
    wanted = [str(number) for number in range(12) if number % 3 < 2]
    for size in (1, 2, 3, 5, 8):
        pages, cursor = [], ""
        while cursor is not None:
            answer = site.call("limited", "GET", f"/api/v1/monitor/messages?limit={size}{cursor}")
            pages = [m["text"] for m in answer.get_json()] + pages
            following = answer.headers.get("X-Next-Cursor")
            cursor = following and f"&cursor={following}"
        assert pages == wanted
        assert site.texts("limited", f"?limit={size}&offset=2") == wanted[:-2][-size:]
    moved = site.ask("limited", "PATCH", "/api/v1/monitor/messages/session/s?new_session_id=t")
    assert [message["text"] for message in moved] == wanted


def test_an_admin_reads_everybodys_and_changes_only_as_a_named_owner(each_site):
    site = each_site
    mine, theirs = furnish(site, "ann", "annword"), furnish(site, "bob", "bobword")
    ann, bob = (site.messages("root", f"?flow_id={ids['flow_id']}")[0]["owner"] for ids in (mine, theirs))
    assert {m["owner"] for m in site.messages("root")} == {ann, bob}
    summaries = site.sessions("root", "?view=summary")["sessions"]
    assert {(s["owner"], s["session_id"]) for s in summaries} == {
        (ann, "shared"),
        (ann, "only-ann"),
        (bob, "shared"),
        (bob, "only-bob"),
    }
    assert sorted(site.sessions("root")) == ["only-ann", "only-bob", "shared"]
    assert len(site.ask("root", "GET", "/api/v1/runs")["items"]) == 4
    assert site.ask("root", "GET", f"/api/v1/runs/{theirs['run_id']}")["messages"][0]["owner"] == bob
    assert site.ask("root", "GET", f"/api/v1/monitor/transactions?flow_id={mine['flow_id']}")["total"] == 4
    assert site.ask("root", "GET", f"/api/v1/monitor/builds?flow_id={mine['flow_id']}")["vertex_builds"]

    before = world(site, "bob", theirs["flow_id"])
    site.ask("root", "DELETE", "/api/v1/monitor/messages/session/shared", 204)
    site.ask("root", "DELETE", "/api/v1/monitor/messages", 204, json=[theirs["message_id"]])
    site.ask("root", "PUT", f"/api/v1/monitor/messages/{theirs['message_id']}", 404, json={"text": "x"})
    assert world(site, "bob", theirs["flow_id"]) == before

    assert site.messages("root", f"?owner={bob}") == site.messages("bob")
    assert world_as(site, {"X-Flowrunner-Owner": bob}, theirs) == site.messages("bob")
    site.ask("root", "PUT", f"/api/v1/monitor/messages/{theirs['message_id']}?owner={bob}", json={"text": "checked"})
    site.ask("root", "POST", f"/api/v1/run/shared?owner={bob}", json={"input_value": "hi", "session_id": "shared"})
    assert site.texts("bob", "?session_id=shared") == ["checked", "bobword one", "hi", "hi"]
    site.ask("root", "DELETE", f"/api/v1/monitor/messages/session/shared?owner={bob}", 204)
    assert site.sessions("bob") == ["only-bob"] and len(site.sessions("ann")) == 2


def world_as(site, headers, ids):
    return site.ask("root", "GET", "/api/v1/monitor/messages", headers=headers)


def test_nobody_else_names_an_owner(site):
    furnish(site, "bob", "bobword")
    bob = site.messages("root")[0]["owner"]
    refused = site.ask("ann", "GET", f"/api/v1/monitor/messages?owner={bob}", 403)
    assert refused == site.ask("ann", "GET", "/api/v1/monitor/messages?owner=nobody", 403)
    assert site.ask("bob", "GET", f"/api/v1/monitor/messages?owner={bob}") == site.messages("bob")


def test_keys_over_http(site):
    made = site.ask("ann", "POST", "/api/v1/api_key/", json={"name": "second", "read_only": True})
    site.keys["second"] = made["api_key"]
    assert site.messages("second") == []
    site.ask("second", "POST", "/api/v1/api_key/", 403, json={})
    listed = site.ask("ann", "GET", "/api/v1/api_key/")
    assert listed["total_count"] == 2 and made["api_key"] not in json.dumps(listed)
    rotated = site.ask("ann", "POST", f"/api/v1/api_key/{made['id']}/rotate")
    site.ask("second", "GET", "/api/v1/monitor/messages", 403)
    site.keys["second"] = rotated["api_key"]
    assert site.messages("second") == []
    site.ask("bob", "DELETE", f"/api/v1/api_key/{made['id']}", 404)
    site.ask("bob", "POST", f"/api/v1/api_key/{made['id']}/rotate", 404)
    site.ask("ann", "DELETE", f"/api/v1/api_key/{made['id']}")
    site.ask("second", "GET", "/api/v1/monitor/messages", 403)
    site.ask("ann", "DELETE", f"/api/v1/api_key/{made['id']}", 404)


def test_no_key_makes_one_that_may_more(site):
    site.ask("ann", "POST", "/api/v1/api_key/", 403, json={"admin": True})
    site.ask("ann", "POST", "/api/v1/api_key/", 403, json={"user": "bob"})
    site.add_user("ann", "chief", admin=True)
    chief = next(k for k in site.ask("ann", "GET", "/api/v1/api_key/")["api_keys"] if k["admin"])
    site.ask("ann", "POST", f"/api/v1/api_key/{chief['id']}/rotate", 403)
    site.ask("ann", "DELETE", f"/api/v1/api_key/{chief['id']}", 403)
    made = site.ask("chief", "POST", "/api/v1/api_key/", json={"user": "carol", "flows": ["x"]})
    assert made["user"] == "carol" and made["flows"] == ["x"] and not made["admin"]
    assert site.ask("chief", "GET", "/api/v1/api_key/")["total_count"] == 5
    site.ask("chief", "DELETE", f"/api/v1/api_key/{made['id']}")
    for body in ({"name": 5}, {"admin": "yes"}, {"flows": "x"}, {"flows": [1]}):
        site.ask("chief", "POST", "/api/v1/api_key/", 422, json=body)


def test_a_shared_store_keeps_owners_apart_across_servers(tmp_path):
    with open_site(tmp_path, memory="sqlite") as one, open_site(tmp_path, memory="sqlite") as two:
        one.add_user("ann")
        one.add_user("bob")
        two.keys = one.keys
        one.flow("ann", echo_flow("shared"))
        two.say("ann", "shared", "hello", "s")
        assert one.texts("ann") == ["hello"] * 2 and one.texts("bob") == two.texts("bob") == []
