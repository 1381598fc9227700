"""What cannot work is refused where it is mounted, in a sentence that says what to do."""

from __future__ import annotations

import operator
from functools import partial, wraps
from pathlib import Path

import pytest
from flask import Blueprint, Flask
from flowrunner_in_memory import InMemory

from flowrunner import Component, FlowRunnerError, Input, Message, Output, SettingsInvalid, get_runner
from flowrunner.extension import FlowRunner
from flowrunner.integrations import identity as recipes
from tests.embedding.sites import FLOWS, by_header

QUIET = {"memory": "in-memory", "run_log": False}


class Shout(Component):
    """Say it in capitals."""

    type_name = "SiteShout"
    inputs = (Input("input_value", required=True),)
    outputs = (Output("message"),)

    def run(self, context, /, *, input_value):
        return {"message": Message(text=str(getattr(input_value, "text", input_value)).upper())}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"url_prefix": "assistant"}, "a prefix is a plain path such as '/assistant'"),
        ({"url_prefix": ""}, "a prefix is a plain path"),
        ({"url_prefix": "/<tenant>/x"}, "a prefix is a plain path"),
        ({"url_prefix": "/a b"}, "a prefix is a plain path"),
        ({"url_prefix": "//x"}, "a prefix is a plain path"),
        ({"url_prefix": "//"}, "a prefix is a plain path"),
        ({"url_prefix": "/x//"}, "a prefix is a plain path"),
        ({"url_prefix": "/a/../b"}, "a prefix is a plain path"),
        ({"url_prefix": "/./b"}, "a prefix is a plain path"),
        ({"url_prefix": "/a\\b"}, "a prefix is a plain path"),
        ({"url_prefix": "/a%2fb"}, "a prefix is a plain path"),
        ({"url_prefix": None}, "a prefix is a plain path"),
        ({"subdomain": 5}, "a subdomain is a plain name in lower case"),
        ({"subdomain": "<user>"}, "a subdomain is a plain name in lower case"),
        ({"subdomain": ""}, "a subdomain is a plain name in lower case"),
        ({"subdomain": "chat"}, "create it with Flask(..., subdomain_matching=True), and set SERVER_NAME"),
        ({"flows_dir": 5}, "FlowRunner(flows_dir=5): pass a folder, or a list of folders"),
        ({"flows_dir": b"flows"}, "pass a folder, or a list of folders"),
        ({"plugins_blocked": 5}, "FLOWRUNNER_PLUGINS_BLOCKED 5 cannot be used: must be a list"),
        ({"name": "My Bot"}, "lower-case letters"),
        ({"name": ""}, "lower-case letters"),
        ({"identity": "me"}, "pass a function that takes the request"),
        ({"identity": Flask}, "pass an instance of that class"),
        ({"identity": recipes.visitors}, "call it, visitors()"),
        ({"identity": recipes.everybody}, "call it, everybody()"),
        ({"identity": recipes.jwt}, "call it, jwt()"),
        ({"identity": lambda: "ann"}, "pass a function that takes one argument, the request"),
        ({"identity": lambda request, more: "ann"}, "pass a function that takes one argument, the request"),
        ({"guard": lambda: None}, "FlowRunner(guard=<lambda>): pass a function that takes one argument, the request"),
        ({"guard": 1}, "pass a function that takes the request"),
        ({"memory": 5}, "name of a memory backend"),
        ({"memory": "redis"}, "No plugin offers the memory backend 'redis'"),
        ({"plugins": Shout}, "a list of component classes"),
        ({"plugins": "shout"}, "a list of component classes"),
        ({"memroy": "sqlite"}, "memroy is not a setting of flowrunner or of a plugin; did you mean memory?"),
        ({"turn_wait": "long"}, "FLOWRUNNER_TURN_WAIT 'long' cannot be used"),
        ({"identity": by_header, "auth": "none"}, "remove one of them"),
        ({"plugins": [Shout, Shout]}, "there are two plugins named Shout."),
        ({"plugins": [Shout()]}, "pass the component class Shout, not an instance"),
        ({"plugins": [InMemory()]}, "InMemory is a memory backend: pass it as memory=..."),
        ({"plugins": ["x"]}, "'x' would do nothing: pass component classes, or plugins whose functions are marked"),
        ({"plugins": [5]}, "5 would do nothing"),
        ({"plugins": [object]}, "would do nothing"),
    ],
)
def test_arguments(site, arguments, words):
    with pytest.raises(Exception, match="(?s).") as refusal:
        FlowRunner(site, **arguments)
    assert words in str(refusal.value)
    assert not site.extensions.get("flowrunner")
    assert not any(rule.endpoint.startswith("flowrunner") for rule in site.url_map.iter_rules())


def test_a_sentence_is_one_line(site):
    with pytest.raises(FlowRunnerError) as refusal:
        FlowRunner(site, plugins=[Shout, Shout])
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 200


class ByHeader:
    """An object may say who is there, and a method of one."""

    def __call__(self, request):
        return by_header(request)

    def ask(self, request, *, header="X-Checked-User"):
        return request.headers.get(header)


@pytest.mark.parametrize(
    "identity",
    [
        by_header,
        ByHeader(),
        ByHeader().ask,
        partial(ByHeader().ask, header="X-Other"),
        lambda *a: None,
        operator.attrgetter("remote_user"),
        recipes.visitors(),
        recipes.first_of(by_header, recipes.everybody()),
    ],
)
def test_whatever_takes_the_request(site, identity):
    FlowRunner(site, identity=identity, guard=identity, **QUIET)
    assert site.test_client().get("/flowrunner/health").status_code == 200


@pytest.mark.parametrize("shape", [Path, str, lambda path: [Path(path)], lambda path: (str(path),)])
def test_folders_of_flows(site, tmp_path, shape):
    folder = tmp_path / "flows, and more" if shape is Path else tmp_path / "flows"
    folder.mkdir()
    (folder / "own.json").write_text((FLOWS / "basic-chat.json").read_text())
    del site.config["FLOWRUNNER_FLOWS_DIR"]
    FlowRunner(site, flows_dir=shape(folder), **QUIET)
    assert get_runner(app=site).run("own", "hi", identity="ann").text == "hi"


def test_a_function_in_a_wrapper_is_judged_by_the_wrapper(site):
    def find(request, database):
        return True

    @wraps(find)
    def look(request):
        return find(request, "database")

    FlowRunner(site, identity=by_header, guard=look, **QUIET)
    assert site.test_client().get("/flowrunner/health").status_code == 200


def test_a_subdomain_beside_a_blueprint():
    with pytest.raises(SettingsInvalid, match=r"Blueprint\(\.\.\., subdomain='chat'\)"):
        FlowRunner(Blueprint("area", __name__), subdomain="chat")


def test_a_coroutine(site):
    async def who(request):
        return None

    with pytest.raises(SettingsInvalid, match="async def is not supported"):
        FlowRunner(site, identity=who)


def test_no_app():
    with pytest.raises(SettingsInvalid, match="takes a Flask app or one of its blueprints, not a str"):
        FlowRunner().init_app("app")


def test_twice(mounted):
    with pytest.raises(SettingsInvalid, match="pass another name"):
        FlowRunner(mounted, url_prefix="/other")
    FlowRunner(mounted, url_prefix="/other", name="a-b", **QUIET)
    with pytest.raises(SettingsInvalid, match="both read settings with the prefix A_B_FLOWRUNNER_"):
        FlowRunner(mounted, url_prefix="/third", name="a_b", **QUIET)


def test_a_place_that_is_taken(mounted):
    with pytest.raises(SettingsInvalid, match="already mounted at /assistant"):
        FlowRunner(mounted, url_prefix="/assistant/", name="second", **QUIET)
    assert "second" not in mounted.extensions["flowrunner"]


def test_a_blueprint_of_that_name(site):
    site.register_blueprint(Blueprint("flowrunner", __name__))
    with pytest.raises(SettingsInvalid, match="already has a blueprint named 'flowrunner'"):
        FlowRunner(site, **QUIET)


def test_an_app_that_matches_hosts(tmp_path):
    app = Flask("app", host_matching=True, static_host="x", instance_path=str(tmp_path))
    with pytest.raises(SettingsInvalid, match="host_matching"):
        FlowRunner(app, **QUIET)


def test_too_late(site):
    site.test_client().get("/")
    with pytest.raises(SettingsInvalid, match="already handled a request"):
        FlowRunner(site, **QUIET)


def test_an_instance_folder_that_cannot_be_written(site, tmp_path):
    (tmp_path / "instance").write_text("a file")
    site.testing = False
    FlowRunner(site)
    with pytest.raises(SettingsInvalid, match="FLOWRUNNER_DATA_DIR"):
        get_runner(app=site).run("basic-chat", "x", identity="ann")


def test_an_instance_folder_that_cannot_be_written_and_nothing_to_write(site, tmp_path, caplog):
    (tmp_path / "instance").write_text("a file")
    site.testing = False
    FlowRunner(site, memory="in-memory")
    assert get_runner(app=site).run("basic-chat", "x", identity="ann").text == "x"
    assert "Locks and streams are kept in a temporary folder" in caplog.text
