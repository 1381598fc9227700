"""What was encrypted with another key is said to be that, not to be missing."""

from __future__ import annotations

import json

import pytest

from flowrunner import Component, Input, Output
from tests.web.site import flow_through, open_site


class Keyed(Component):
    """Say whether there is a key."""

    type_name = "Keyed"
    inputs = (Input("input_value"), Input("api_key", "secret"))
    outputs = (Output("output"),)

    def run(self, context, input_value, api_key):
        return {"output": api_key or context.variable("OPENAI_API_KEY") or "no key"}


def reopened(folder, template, **variables):
    """Return what a run says after the operator's key has changed."""
    with open_site(folder, plugins=[Keyed], secret_key="one", memory="sqlite") as site:
        site.add_user("ann")
        for name, value in variables.items():
            body = {"name": name, "value": value, "type": "Credential", "default_fields": []}
            site.ask("ann", "POST", "/api/v1/variables/", 201, json=body)
        flow = site.flow("ann", flow_through("Keyed", template))
        keys = site.keys
    with open_site(folder, plugins=[Keyed], secret_key="two", memory="sqlite") as site:
        site.keys = keys
        return site.ask("ann", "POST", f"/api/v1/run/{flow}", 500, json={"input_value": "hi"})


@pytest.mark.parametrize(
    ("template", "variables", "said"),
    [
        ({"api_key": {"value": "MY_KEY", "load_from_db": True}}, {"MY_KEY": "sk-mine"}, "api_key cannot be decrypted"),
        ({}, {"OPENAI_API_KEY": "sk-mine"}, "the variable OPENAI_API_KEY cannot be decrypted"),
        ({"api_key": {"value": "sk-mine-1234567890", "password": True}}, {}, "api_key cannot be decrypted"),
    ],
)
def test_it_says_that_it_cannot_be_opened(tmp_path, template, variables, said):
    answer = json.dumps(reopened(tmp_path, template, **variables))
    assert said in answer
    assert "FLOWRUNNER_SECRET_KEY" in answer
    assert "is not set" not in answer and "sk-mine" not in answer


def test_what_cannot_be_opened_is_shown_as_it_is_and_comes_back_unharmed(tmp_path):
    template = {"api_key": {"value": "sk-mine-1234567890", "password": True}}
    with open_site(tmp_path, plugins=[Keyed], secret_key="one", memory="sqlite") as site:
        site.add_user("ann")
        flow, keys = site.flow("ann", flow_through("Keyed", template)), site.keys
    with open_site(tmp_path, plugins=[Keyed], secret_key="two", memory="sqlite") as site:
        site.keys = keys
        shown = site.ask("ann", "GET", f"/api/v1/flows/{flow}", 200)
        assert "sk-mine" not in json.dumps(shown)
        assert "sealed:v1:" in json.dumps(shown["data"])
        for method in ("PATCH", "PUT"):
            site.ask("ann", method, f"/api/v1/flows/{flow}", 200, json={"name": "renamed", "data": shown["data"]})
    with open_site(tmp_path, plugins=[Keyed], secret_key="one", memory="sqlite") as site:
        site.keys = keys
        answer = site.ask("ann", "POST", f"/api/v1/run/{flow}", 200, json={"input_value": "hi"})
        assert "sealed:v1:" not in json.dumps(answer)
        assert "sk-mine-1234567890" in json.dumps(site.ask("ann", "GET", f"/api/v1/flows/{flow}", 200)["data"])
