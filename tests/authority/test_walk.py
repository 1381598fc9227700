"""Every route, with every verb, for every kind of caller, against a table: on a server of its own and in a site.

All requests are about things of one owner, ann. The table says for each route what becomes of them:
``+`` done, ``-`` 403, ``0`` 404 as if nothing were there, ``~`` done, and ann's things neither shown
nor touched.
"""

import io
import json
import uuid

import pytest
from flask import Flask

from flowrunner import Chunk, FlowRunner, Identity
from flowrunner.app import create_app
from flowrunner.integrations.identity import first_of, visitors
from flowrunner.memory import EVERY_OWNER
from flowrunner.store.keys import owner_of_user
from tests.waiting import wait_until
from tests.web.site import BACKENDS, echo_flow
from tests.web.test_isolation import bodies, fill, queries

VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
OWN = {"X-Flowrunner": "1"}
#: The store on which requests are tried as well that reach none.
USUAL = "sqlite"

#: Whom the columns are: nobody, a key that reads, a key of one flow, another owner's key, an admin's key, ann's key.
ALONE = ("nobody", "reader", "limited", "bob", "root", "ann")
ALONE_TABLE = {
    "health GET": "++++++",
    "health_check GET": "++++++",
    "ready GET": "++++++",
    "version GET": "++++++",
    "config GET": "++++++",
    "auto_login GET": "------",
    "openapi GET": "++++++",
    "chatbox_file GET": "++++++",
    "front GET": "++++++",
    "api_page GET": "++++++",
    "playground GET": "++++++",
    "playground_file GET": "++++++",
    "metrics GET": "----+-",
    "run POST": "--+00+",
    "responses POST": "--+00+",
    "webhook POST": "--+00+",
    "cancel_run POST": "--+00+",
    "list_messages GET": "-++~++",
    "delete_messages DELETE": "--+~~+",
    "edit_message PUT": "--+00+",
    "list_sessions GET": "-++~++",
    "delete_sessions DELETE": "--+~~+",
    "rename_session PATCH": "--+00+",
    "fork_session POST": "--+00+",
    "title_session PATCH": "---00+",
    "delete_session DELETE": "--+~~+",
    "list_runs GET": "-++~++",
    "read_run GET": "-++0++",
    "read_run_events GET": "-++0++",
    "list_steps GET": "-+-0++",
    "describe_memory GET": "-++~++",
    "preview_memory_purge POST": "----+-",
    "list_builds GET": "-+-~++",
    "delete_builds DELETE": "---~~+",
    "list_transactions GET": "-+-~++",
    "list_traces GET": "-++~++",
    "read_trace GET": "-++0++",
    "upload_file POST": "--+00+",
    "list_files GET": "-++00+",
    "download_file GET": "-++00+",
    "delete_file DELETE": "--+00+",
    "upload_own_file POST": "---~~+",
    "list_own_files GET": "-+-~~+",
    "download_own_file GET": "-+-00+",
    "delete_own_file DELETE": "---00+",
    "list_collections GET": "-+-~~+",
    "list_documents GET": "-+-00+",
    "delete_collection DELETE": "---00+",
    "list_flows GET": "-++~~+",
    "create_flow POST": "---~~+",
    "create_flows POST": "---~~+",
    "upload_flows POST": "---~~+",
    "download_flows POST": "-+-00+",
    "delete_flows DELETE": "---~~+",
    "read_flow GET": "-+-00+",
    "change_flow PATCH": "---00+",
    "put_flow PUT": "---~~+",
    "delete_flow DELETE": "---00+",
    "list_projects GET": "-+-~~+",
    "create_project POST": "---~~+",
    "upload_project POST": "---~~+",
    "download_project GET": "-+-00+",
    "read_project GET": "-+-00+",
    "change_project PATCH": "---00+",
    "delete_project DELETE": "---00+",
    "list_folders GET": "-+-~~+",
    "create_folder POST": "---~~+",
    "upload_folder POST": "---~~+",
    "download_folder GET": "-+-00+",
    "read_folder GET": "-+-00+",
    "change_folder PATCH": "---00+",
    "delete_folder DELETE": "---00+",
    "draw_flow GET": "-+-00+",
    "describe_flow GET": "-+-00+",
    "render_texts POST": "-+++++",
    "list_variables GET": "-+-~~+",
    "create_variable POST": "---~~+",
    "change_variable PATCH": "---00+",
    "delete_variable DELETE": "---00+",
    "list_keys GET": "-+-~++",
    "create_key POST": "----++",
    "delete_key DELETE": "---0++",
    "rotate_key POST": "---0++",
}

#: In a site: nobody, a visitor, another user, an admin, an author, ann, who is a plain user.
SITE = ("nobody", "visitor", "bob", "root", "kim", "ann")
TALKING = {
    "run POST": "-0000+",
    "responses POST": "-0000+",
    "cancel_run POST": "-0000+",
    "read_run GET": "-00+0+",
    "read_run_events GET": "-00+0+",
    "list_messages GET": "-~~+~+",
    "delete_messages DELETE": "-~~~~+",
    "edit_message PUT": "-0000+",
    "list_sessions GET": "-~~+~+",
    "delete_sessions DELETE": "-~~~~+",
    "rename_session PATCH": "-0000+",
    "fork_session POST": "-0000+",
    "title_session PATCH": "-0000+",
    "delete_session DELETE": "-~~~~+",
    "upload_file POST": "-0000+",
    "list_files GET": "-0000+",
    "download_file GET": "-0000+",
    "delete_file DELETE": "-0000+",
    "health GET": "++++++",
    "health_check GET": "++++++",
    "ready GET": "++++++",
    "chatbox_file GET": "++++++",
}
SITE_TABLE = {
    **TALKING,
    "version GET": "++++++",
    "config GET": "++++++",
    "auto_login GET": "------",
    "openapi GET": "++++++",
    "front GET": "++++++",
    "api_page GET": "++++++",
    "playground GET": "++++++",
    "playground_file GET": "++++++",
    "metrics GET": "---+--",
    "webhook POST": "-0000+",
    "list_runs GET": "-~~+~+",
    "list_steps GET": "----0-",
    "describe_memory GET": "-~~+~+",
    "preview_memory_purge POST": "---+--",
    "list_builds GET": "----~-",
    "delete_builds DELETE": "----~-",
    "list_transactions GET": "----~-",
    "list_traces GET": "-~~+~+",
    "read_trace GET": "-00+0+",
    "upload_own_file POST": "----~-",
    "list_own_files GET": "----~-",
    "download_own_file GET": "----0-",
    "delete_own_file DELETE": "----0-",
    "list_collections GET": "----~-",
    "list_documents GET": "----0-",
    "delete_collection DELETE": "----0-",
    "list_flows GET": "-~~~~+",
    "create_flow POST": "----~-",
    "create_flows POST": "----~-",
    "upload_flows POST": "----~-",
    "download_flows POST": "----0-",
    "delete_flows DELETE": "----~-",
    "read_flow GET": "----0-",
    "change_flow PATCH": "----0-",
    "put_flow PUT": "----~-",
    "delete_flow DELETE": "----0-",
    "list_projects GET": "----~-",
    "create_project POST": "----~-",
    "upload_project POST": "----~-",
    "download_project GET": "----0-",
    "read_project GET": "----0-",
    "change_project PATCH": "----0-",
    "delete_project DELETE": "----0-",
    "list_folders GET": "----~-",
    "create_folder POST": "----~-",
    "upload_folder POST": "----~-",
    "download_folder GET": "----0-",
    "read_folder GET": "----0-",
    "change_folder PATCH": "----0-",
    "delete_folder DELETE": "----0-",
    "draw_flow GET": "----0-",
    "describe_flow GET": "----0-",
    "render_texts POST": "-+++++",
    "list_variables GET": "----~-",
    "create_variable POST": "----~-",
    "change_variable PATCH": "----0-",
    "delete_variable DELETE": "----0-",
    "list_keys GET": "----~-",
    "create_key POST": "------",
    "delete_key DELETE": "----0-",
    "rotate_key POST": "----0-",
}


def by_header(request):
    name = request.headers.get("X-User")
    return Identity(name, author=name == "kim", admin=name == "root", name=name) if name else None


def no_visitor(recipe):
    """Know visitors where the request says that it is one; so that there is nobody, too."""
    return lambda request: recipe(request) if request.headers.get("X-Visitor") else None


class World:
    """A server, who calls it, and one of everything of ann's."""

    def __init__(self, app, prefix, owner, headers):
        self.app, self.prefix, self.owner, self.headers = app, prefix, owner, headers
        self.runner = app.extensions["flowrunner"]["flowrunner"]
        self.blueprint = app.blueprints["flowrunner"]
        self.ids = {}
        #: What is ann's after she was given all of it.
        self.furnished = ()

    def call(self, who, method, path, **more):
        return self.app.test_client().open(
            self.prefix + path, method=method, headers={**OWN, **self.headers.get(who, {})}, **more
        )

    def furnish(self):
        """Give ann one of everything, and drop what she had."""
        stores = self.runner.stores
        self.runner.memory.for_owner(self.owner).delete()
        stores.flows.delete_many([flow.id for flow in stores.flows.list(self.owner)], self.owner)
        for variable in stores.variables.list(self.owner):
            stores.variables.delete(variable.id, self.owner)
        for project in stores.projects.list(self.owner):
            stores.projects.delete(project.id, self.owner)
        project = stores.projects.create(self.owner, "annproject", "annword").id
        flow = stores.flows.create(self.owner, echo_flow("annflow", description="annword", folder_id=project)).id
        said = {"input_value": "annword", "session_id": "annsession"}
        answer = self.call("ann", "POST", f"/api/v1/run/{flow}?stream=sse", json=said)
        assert answer.status_code == 200 and "event: error" not in answer.text, answer.text
        message = self.runner.memory.for_owner(self.owner).fetch(session_id="annsession")[0]
        kept = stores.files.save(self.owner, io.BytesIO(b"annword"), name="annfile.txt", flow_id=flow)
        vectors = self.runner.vectors.for_owner(self.owner)
        vectors.upsert("annword", [Chunk("one", "annword", [1.0], "annword.txt")])
        own = stores.files.save(self.owner, io.BytesIO(b"annword"), name="annown.txt")
        variable = stores.variables.create(self.owner, "annvariable", "annword")
        key = stores.keys.record_of(stores.keys.create("ann", name="annkey")) if self.prefix == "" else None
        self.ids = {
            "project_id": project,
            "flow": flow,
            "flow_id": flow,
            "session_id": "annsession",
            "message_id": str(message.id),
            "run_id": str(message.run_id),
            "trace_id": str(message.run_id),
            "name": kept.name,
            "file_id": own.id,
            "variable_id": variable.id,
            "key_id": key.id if key else flow,
            "user": "ann",
            "word": "annword",
        }
        self.furnished = self.state()

    def is_touched(self):
        """Say whether what is ann's has changed, and then give it to her anew."""
        if self.state() == self.furnished:
            return False
        self.furnish()
        return True

    def routes(self):
        """Return name, rule and verbs of each route, but for the one that answers for all others."""
        place = f"{self.blueprint.name}."
        for rule in self.app.url_map.iter_rules():
            name = str(rule.endpoint).removeprefix(place)
            if str(rule.endpoint).startswith(place) and name not in ("nothing_here", "nothing_at_root"):
                yield name, rule.rule.removeprefix(self.prefix), rule.methods - {"HEAD", "OPTIONS"}

    def leads_elsewhere(self, rule, verb):
        """Say whether a verb that a rule does not take is taken by another rule that fits the same path."""
        path = self.prefix + fill(rule, self.ids)
        found, _ = self.app.url_map.bind("localhost").match(path, method=verb)
        return not str(found).endswith(("nothing_here", "nothing_at_root"))

    def state(self):
        """Return all that is ann's."""
        stores, memory = self.runner.stores, self.runner.memory.for_owner(self.owner)
        return (
            [message.to_dict() if hasattr(message, "to_dict") else repr(message) for message in memory.fetch()],
            [flow.to_json() for flow in stores.flows.list(self.owner)],
            [project.to_json() for project in stores.projects.list(self.owner)],
            [variable.to_json() for variable in stores.variables.list(self.owner)],
            [file.path for flow in (None, self.ids["flow"]) for file in stores.files.list(self.owner, flow_id=flow)],
            [record.hint for record in stores.keys.list() if record.name == "annkey"],
            self.runner.vectors.for_owner(self.owner).documents("annword"),
        )


def request_of(name, rule, ids):
    """Return the path and the body of a request to a route about ann's things."""
    static = {"chatbox_file": "chatbox.js", "playground_file": "app.js"}
    path = fill(rule, {**ids, "name": static.get(name, ids["name"])})
    query = queries(name, ids)[0]
    if name in ("upload_flows", "upload_project", "upload_folder"):
        body = {"data": {"file": (io.BytesIO(json.dumps(echo_flow("uploaded")).encode()), "a.json")}}
    else:
        body = bodies(name, ids)
    return f"{path}?{query}" if query else path, body


def try_once(world, who, verb, rule, name, wanted):
    """Send one request, and return what is wrong with the answer."""
    path, body = request_of(name, rule, world.ids)
    answer = world.call(who, verb, path, **body)
    shown, status = answer.get_data().decode("utf-8", "replace"), answer.status_code
    answer.close()
    told = "annword" in shown and name != "render_texts"
    fits = {
        # The run is there, and has ended by now.
        "+": status < 300 or (name == "front" and status == 302) or (name == "cancel_run" and status == 409),
        "-": status == 403,
        "0": status == 404 and not told,
        "~": status < 300 and not told,
        "x": status == 405,
    }[wanted]
    return [] if fits else [f"{name} {verb} as {who}: wanted {wanted}, got {status}"]


def try_all(world, callers, verb, rule, name, wanted):
    """Send a request as each caller, and return what is wrong.

    Those who may not touch what is ann's come first, and it is looked at after all of them; then come those who may.
    """
    wrong = []
    may = [who for who, sign in zip(callers, wanted, strict=True) if sign == "+"]
    may_not = [who for who in callers if who not in may]
    for who in may_not:
        wrong += try_once(world, who, verb, rule, name, wanted[callers.index(who)])
        if name == "put_flow":
            wrong += refurnish(world, who)
    if verb != "GET" and world.is_touched():
        wrong.append(f"{name} {verb} as one of {', '.join(may_not)}: touched what is ann's")
    for who in may:
        wrong += try_once(world, who, verb, rule, name, "+")
        if name == "webhook":
            wait_until(lambda: world.state() != world.furnished)
        if name == "put_flow":
            refurnish(world, who)
        elif verb != "GET":
            world.is_touched()
    return wrong


def refurnish(world, who):
    """Give ann everything anew after somebody put a flow, and now has one of the same id; say whether hers changed."""
    touched = world.state() != world.furnished
    world.runner.stores.flows.delete_many([world.ids["flow"]], EVERY_OWNER)
    world.furnish()
    return [f"put_flow PUT as {who}: touched what is ann's"] if touched else []


def try_others(world, callers, verbs, rule, name):
    """Send requests with verbs that a route does not take, as the first and the last caller; return what is wrong."""
    wrong = []
    for verb in verbs:
        for who in (callers[0], callers[-1]):
            wrong += try_once(world, who, verb, rule, name, "x")
    if wrong or not verbs or not world.is_touched():
        return wrong
    return [f"{name} {', '.join(verbs)}: touched what is ann's"]


def walk(world, callers, table, *, others=True):
    """Try everything, and compare it with the table.

    :param others: try the verbs that a route does not take, too; who refuses those knows of no store.
    """
    world.furnish()
    there = {f"{name} {verb}" for name, _, verbs in world.routes() for verb in verbs}
    assert there == table.keys(), (
        "each route needs a row in ALONE_TABLE and SITE_TABLE that says who may call it; missing:"
        f" {sorted(there - table.keys())}, superfluous: {sorted(table.keys() - there)}"
    )
    wrong = []
    rules = {}
    for name, rule, verbs in world.routes():
        rules.setdefault(rule, {}).update(dict.fromkeys(verbs, name))
    for rule, names in rules.items():
        for verb in (verb for verb in VERBS if verb in names):
            name = names[verb]
            wrong += try_all(world, callers, verb, rule, name, table[f"{name} {verb}"])
        if others:
            verbs = [verb for verb in VERBS if verb not in names and not world.leads_elsewhere(rule, verb)]
            wrong += try_others(world, callers, verbs, rule, next(iter(names.values())))
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def store(request, memory):
    """Return the settings of a store; everything on PostgreSQL is one of them."""
    if memory != "postgresql":
        return {"memory": memory}
    server, name = request.getfixturevalue("postgres_server"), f"walk_{uuid.uuid4().hex}"
    server.execute(f"CREATE DATABASE {name}")
    return {"memory": "sqlite", "database_url": server.url(name).render_as_string(hide_password=False)}


@pytest.mark.dear
@pytest.mark.parametrize("memory", [*BACKENDS, "postgresql"])
def test_on_a_server_of_its_own(tmp_path, memory, store):
    app = create_app(data_dir=tmp_path, playground=True, metrics=True, **store)
    keys = app.extensions["flowrunner"]["flowrunner"].stores.keys
    headers = {
        "reader": {"x-api-key": keys.create("ann", read_only=True)},
        "limited": {"x-api-key": keys.create("ann", flows=["annflow"])},
        "bob": {"x-api-key": keys.create("bob")},
        "root": {"x-api-key": keys.create("root", admin=True)},
        "ann": {"x-api-key": keys.create("ann")},
    }
    world = World(app, "", owner_of_user("ann"), headers)
    try:
        walk(world, ALONE, ALONE_TABLE, others=memory == USUAL)
    finally:
        world.runner.close()


def site_world(folder, **more):
    app = Flask("site", instance_path=str(folder))
    app.secret_key = "secret"
    known = first_of(by_header, no_visitor(visitors()))
    FlowRunner(app, url_prefix="/assistant", identity=known, flows=lambda identity, flow: True, **more)
    headers = {name: {"X-User": name} for name in ("ann", "bob", "kim", "root")}
    return World(app, "/assistant", "ann", {**headers, "visitor": {"X-Visitor": "yes"}})


@pytest.mark.parametrize("memory", [*BACKENDS, "postgresql"])
def test_in_a_site_that_asks_for_all_of_it(tmp_path, memory, store):
    world = site_world(tmp_path, api=True, playground=True, metrics=True, **store)
    try:
        walk(world, SITE, SITE_TABLE, others=memory == USUAL)
    finally:
        world.runner.close()


@pytest.mark.parametrize("memory", BACKENDS)
def test_in_a_site_that_asks_for_nothing(tmp_path, memory):
    world = site_world(tmp_path, memory=memory)
    try:
        walk(world, SITE, TALKING, others=memory == USUAL)
    finally:
        world.runner.close()
