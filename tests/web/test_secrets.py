"""A hundred planted secrets, and everything that is answered, logged or stored afterwards.

A conversation is shown as it was said, also where somebody said a secret in it. Flows are shown to
their owner as they were uploaded, and a run answers what its flow gives. Everything else shows no
secret: builds, transactions, runs, errors, logs, figures, lists, and the files of the server's data.
"""

import json
import logging
import random
import string

import pytest

from flowrunner import Component, Input, Message, Output
from flowrunner.telemetry.logs import JsonFormatter
from tests.web.site import flow_through, open_site

ALPHABET = string.ascii_letters + string.digits
#: Shapes that tell a credential wherever it stands.
SHAPES = (
    "sk-{}",
    "ghp_{}{}",
    "xoxb-{}",
    "fr-{}{}",
    "AKIA{}",
    "hf_{}",
    "glpat-{}",
    "sk_live_{}",
    "Bearer {}",
    "eyJ{}.{}.{}",
    "api_key={}",
    "password: {}",
    "https://user:{}@host/path",
    '{{"client_secret": "{}"}}',
)
NAMES = (
    "api_key",
    "password",
    "token",
    "client_secret",
    "authorization",
    "access_token",
    "openai_api_key",
    "passphrase",
)


class Planter:
    """Makes secrets and remembers them; ``core`` is the part that must be nowhere."""

    def __init__(self):
        self._chance = random.Random(4)
        self.cores = []

    def core(self):
        made = "".join(self._chance.choice(ALPHABET) for _ in range(22)).upper()[:22]
        self.cores.append(made)
        return made

    def shaped(self):
        """Return a text in which something has the shape of a credential."""
        core = self.core()
        return f"see {self._chance.choice(SHAPES).format(core, core, core)} here"

    def named(self, depth=0):
        """Return an object with secrets under names that tell, nested."""
        inner = {self._chance.choice(NAMES): self.core(), "note": self.shaped()}
        if depth:
            inner["list"] = [self.named(depth - 1)]
            inner["below"] = self.named(depth - 1)
        return inner


class Careless(Component):
    """Takes secrets in every way, and says what it is told to say."""

    type_name = "Careless"
    inputs = (
        Input("input_value", "str"),
        Input("api_key", "secret"),
        Input("password", "str"),
        Input("plain", "str"),
        Input("headers", "dict", default={}),
        Input("config", "dict", default={}),
        Input("says", "str"),
        Input("fails", "bool", default=False),
        Input("gives", "dict", default={}),
    )
    outputs = (Output("output"), Output("data", "Data"))

    def run(self, context, /, *, input_value, api_key, password, plain, headers, config, says, fails, gives):
        logging.getLogger("flowrunner").info("working with %s", headers and "headers")
        if fails:
            raise ValueError(f"cannot log in with api_key={api_key} at {says}")
        return {"output": Message(text=f"{input_value}", session_id=""), "data": {**gives, "said": says}}


def field(value, kind="str", **more):
    return {"value": value, "type": kind, "show": True, **more}


@pytest.fixture
def heard():
    lines = []

    class Keep(logging.Handler):
        def emit(self, record):
            lines.append(JsonFormatter().format(record))

    handler, logger = Keep(), logging.getLogger()
    before = logging.getLogger("flowrunner").level
    logger.addHandler(handler)
    logging.getLogger("flowrunner").setLevel(logging.DEBUG)
    yield lines
    logger.removeHandler(handler)
    logging.getLogger("flowrunner").setLevel(before)


def template(plant, fails=False):
    return {
        "input_value": field(""),
        "api_key": field(plant.core(), "str", password=True),
        "password": field(plant.core()),
        "plain": field(plant.shaped()),
        "headers": field({"Authorization": f"Bearer {plant.core()}", "X-Other": plant.shaped()}, "dict"),
        "config": field(plant.named(2), "dict"),
        "says": field(plant.shaped()),
        "fails": field(fails, "bool"),
        "gives": field(plant.named(1), "dict"),
    }


def tweak(plant):
    return {
        "api_key": plant.core(),
        "password": plant.core(),
        "plain": plant.shaped(),
        "headers": {"x-api-key": plant.core()},
        "config": plant.named(1),
        "gives": plant.named(1),
        "says": plant.shaped(),
    }


def test_a_hundred_planted_secrets_are_nowhere(tmp_path, heard):
    plant = Planter()
    with open_site(tmp_path, plugins=[Careless], access_log=True, key_in_query=True) as site:
        site.add_user("ann")
        variable = plant.core()
        body = {"name": "STORED", "value": variable, "type": "Credential", "default_fields": []}
        site.ask("ann", "POST", "/api/v1/variables/", 201, json=body)
        works = site.flow("ann", flow_through("Careless", template(plant), name="works"))
        fails = site.flow("ann", flow_through("Careless", template(plant, fails=True), name="fails"))
        stored = template(plant)
        stored["api_key"] = field("STORED", "str", password=True, load_from_db=True)
        stored["password"] = field("GIVEN", "str", load_from_db=True)
        variables = site.flow("ann", flow_through("Careless", stored, name="variables"))
        seen = []

        def run(flow, expect=200, **body):
            given = {"X-Langflow-Global-Var-Given": plant.core()}
            body = {"input_value": "hello", "session_id": "s", **body}
            answer = site.call("ann", "POST", f"/api/v1/run/{flow}", json=body, headers=given)
            assert answer.status_code == expect, answer.get_data(as_text=True)
            seen.append((f"run of {flow}", answer.get_data(as_text=True)))

        for flow, status in ((works, 200), (variables, 200), (fails, 500)):
            run(flow, status)
            for _ in range(2):
                run(flow, status, tweaks={"Careless-m": tweak(plant)})
        # What a flow gives is its caller's; here that is all that its components gave.
        site.say("ann", works, "hello", "s", output_type="debug")
        refused = {"x-api-key": plant.shaped(), "Authorization": f"Bearer {plant.core()}"}
        seen.append(("refusal", site.call(None, "GET", "/api/v1/runs", headers=refused).get_data(as_text=True)))
        site.call("ann", "GET", f"/api/v1/monitor/messages?q={plant.core()}&x-api-key={plant.core()}")

        for flow in (works, fails, variables):
            for path in (
                f"/api/v1/monitor/builds?flow_id={flow}",
                f"/api/v1/monitor/builds?flow_id={flow}&all=true",
                f"/api/v1/monitor/transactions?flow_id={flow}&size=100",
                f"/api/v1/runs?flow_id={flow}",
            ):
                seen.append((path, json.dumps(site.ask("ann", "GET", path))))
        for item in site.ask("ann", "GET", "/api/v1/runs")["items"]:
            seen.append(("one run", json.dumps(site.ask("ann", "GET", f"/api/v1/runs/{item['id']}"))))
        for path in ("/api/v1/variables/", "/api/v1/api_key/", "/openapi.json", "/api/v1/config", "/health_check"):
            seen.append((path, json.dumps(site.ask("ann", "GET", path))))
        # The rows of failures are written by the server, not by anybody in the conversation.
        seen.append(("messages", json.dumps(site.messages("ann"))))
        site.keys.clear()
    assert len(plant.cores) >= 100
    seen += [("log", line) for line in heard]
    seen += [(path.name, path.read_bytes().decode("latin-1")) for path in tmp_path.rglob("*") if path.is_file()]
    assert any(name.endswith(".db") for name, _ in seen) and len(heard) > 20
    found = {(where[:60], core) for where, text in seen for core in plant.cores if core in text}
    assert not found


def test_what_a_model_says_stands_in_the_conversation_alone(tmp_path, heard):
    """An answer of a model is what it is; the record of the component that gave it is masked."""
    plant = Planter()
    with open_site(tmp_path, plugins=[Careless]) as site:
        site.add_user("ann")
        flow = site.flow("ann", flow_through("Careless", {"input_value": field("")}, name="talk"))
        said = [plant.shaped() for _ in range(10)]
        for text in said:
            site.say("ann", flow, text, "s")
        assert site.texts("ann", "?sender=Machine") == said
        for path in ("builds", "transactions"):
            shown = json.dumps(site.ask("ann", "GET", f"/api/v1/monitor/{path}?flow_id={flow}"))
            assert not [core for core in plant.cores if core in shown]
    assert not [core for core in plant.cores if core in "".join(heard)]
    stored = "".join(path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file())
    assert not [core for core in plant.cores if core in stored]


@pytest.mark.parametrize("first", [False, True])
def test_a_twin_without_the_mark_shows_nothing_of_a_password(tmp_path, first):
    """Two flows that differ only in what is a password do not share what is masked, whichever ran before."""
    with open_site(tmp_path, plugins=[Careless]) as site:
        site.add_user("ann")
        for secret in (first, not first):
            fields = {"plain": field("open sesame", password=secret)}
            flow = site.flow("ann", flow_through("Careless", fields, name=f"twin-{secret}"))
            site.say("ann", flow, "hello", "s")
            (build,) = [
                build
                for build in site.ask("ann", "GET", f"/api/v1/monitor/transactions?flow_id={flow}")["items"]
                if build["vertex_id"] == "Careless-m"
            ]
            assert ("open sesame" in json.dumps(build)) is not secret
