"""What cannot work is refused where it is mounted, in a sentence that says what to do."""

from __future__ import annotations

import pytest
from flask import Blueprint, Flask

from flowrunner import Component, Input, Message, Output, SettingsInvalid
from flowrunner.extension import FlowRunner
from tests.embedding.sites import by_header

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
        ({"name": "My Bot"}, "lower-case letters"),
        ({"name": ""}, "lower-case letters"),
        ({"identity": "me"}, "give a function that takes the request"),
        ({"identity": Flask}, "give an object of that class"),
        ({"guard": 1}, "give a function that takes the request"),
        ({"memory": 5}, "name of a memory backend"),
        ({"memory": "redis"}, "No plugin offers the memory backend 'redis'"),
        ({"plugins": Shout}, "a list of component classes"),
        ({"plugins": "shout"}, "a list of component classes"),
        ({"memroy": "sqlite"}, "memroy is no setting that flowrunner or a plugin knows; did you mean memory?"),
        ({"turn_wait": "long"}, "FLOWRUNNER_TURN_WAIT 'long' cannot be used"),
        ({"identity": by_header, "auth": "none"}, "leave one of them out"),
        ({"plugins": [Shout, Shout]}, "cannot be loaded"),
    ],
)
def test_arguments(site, arguments, words):
    with pytest.raises(Exception, match="(?s).") as refusal:
        FlowRunner(site, **arguments)
    assert words in str(refusal.value)
    assert not site.extensions.get("flowrunner")
    assert not any(rule.endpoint.startswith("flowrunner") for rule in site.url_map.iter_rules())


def test_a_coroutine(site):
    async def who(request):
        return None

    with pytest.raises(SettingsInvalid, match="async def is not awaited"):
        FlowRunner(site, identity=who)


def test_no_app():
    with pytest.raises(SettingsInvalid, match="wants the Flask app, or one of its blueprints, and got str"):
        FlowRunner().init_app("app")


def test_twice(mounted):
    with pytest.raises(SettingsInvalid, match="give the second one another name"):
        FlowRunner(mounted, url_prefix="/other")
    FlowRunner(mounted, url_prefix="/other", name="a-b", **QUIET)
    with pytest.raises(SettingsInvalid, match="both read settings with the prefix A_B_FLOWRUNNER_"):
        FlowRunner(mounted, url_prefix="/third", name="a_b", **QUIET)


def test_a_place_that_is_taken(mounted):
    with pytest.raises(SettingsInvalid, match="lies at /assistant already"):
        FlowRunner(mounted, url_prefix="/assistant/", name="second", **QUIET)
    assert "second" not in mounted.extensions["flowrunner"]


def test_a_blueprint_of_that_name(site):
    site.register_blueprint(Blueprint("flowrunner", __name__))
    with pytest.raises(SettingsInvalid, match="a blueprint named 'flowrunner' already"):
        FlowRunner(site, **QUIET)


def test_an_app_that_matches_hosts(tmp_path):
    app = Flask("app", host_matching=True, static_host="x", instance_path=str(tmp_path))
    with pytest.raises(SettingsInvalid, match="host_matching"):
        FlowRunner(app, **QUIET)


def test_too_late(site):
    site.test_client().get("/")
    with pytest.raises(SettingsInvalid, match="answered a request already"):
        FlowRunner(site, **QUIET)


def test_an_instance_folder_that_cannot_be_written(site, tmp_path):
    (tmp_path / "instance").write_text("a file")
    with pytest.raises(SettingsInvalid, match="FLOWRUNNER_DATA_DIR"):
        FlowRunner(site)
