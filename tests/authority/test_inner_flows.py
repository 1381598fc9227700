"""A flow that runs another one: what each of the two keeps to itself."""

import pytest

from flowrunner import Component, Input, Output
from tests.web.site import flow_through, open_site

SECRET = "sk-of-the-author"
EVIL = "http://evil.example/v1"
OWN = "http://model.example/v1"


class Told(Component):
    """Say what it would send, and where."""

    type_name = "Told"
    inputs = (
        Input("base_url", "str", aliases=("api_base",)),
        Input("api_key", "secret"),
        Input("headers", "any"),
        Input("text"),
    )
    outputs = (Output("output"),)

    def run(self, context, /, base_url, api_key, headers, text):
        return {"output": f"{base_url} {api_key} {headers} {context.given('text').secret.name}"}


class RunsBlindly(Component):
    """Run a flow with a setting, as a component of a plugin may, and say nothing of where it has that from."""

    type_name = "RunsBlindly"
    inputs = (Input("input_value"), Input("key"), Input("address"))
    outputs = (Output("output"),)

    def run(self, context, /, input_value, key, address):
        tweaks = {"Told-m": {"api_key": key, "base_url": address}}
        return {"output": context.run_flow("inner", "x", tweaks=tweaks).text}


def settings(**values):
    return {name: {"type": "str", "name": name, "value": value} for name, value in values.items()}


def outer(**values):
    template = settings(flow_name_selected="inner", **values)
    return flow_through("RunFlow", template, output="flow_outputs_message", name="outer")


@pytest.fixture
def site(tmp_path):
    with open_site(tmp_path, plugins=[Told, RunsBlindly]) as made:
        made.add_user("ann")
        made.flow("ann", flow_through("Told", {}, field="text", name="inner"))
        yield made


def said(site, tweaks=(), kind="RunFlow", flow="outer"):
    answer = site.say("ann", flow, "hi", tweaks={f"{kind}-m": dict(tweaks)})
    return str(answer)


@pytest.mark.parametrize(
    "tweaks",
    [
        {"Told-m~base_url": EVIL},
        {"Told-m|base_url": EVIL},
        {"Told-m~api_base": EVIL},
        {"Told~base_url": EVIL},
        {"flow_tweak_data": {"Told-m": {"base_url": EVIL}}},
        {"flow_tweak_data": {"Told": {"api_base": EVIL}}},
        {"flow_tweak_data": {"Told-m~base_url": EVIL}},
    ],
    ids=range(7),
)
@pytest.mark.parametrize("field", ["api_key", "headers"])
def test_a_secret_for_the_inner_flow_does_not_go_where_the_request_says(site, tweaks, field):
    site.flow("ann", outer(**{f"Told-m~{field}": SECRET if field == "api_key" else [SECRET]}))
    answer = said(site, tweaks)
    assert EVIL in answer
    assert SECRET not in answer


def test_through_two_flows_neither(site):
    site.flow("ann", outer(**{"Told-m~api_key": SECRET}))
    far = settings(flow_name_selected="outer", **{"RunFlow-m~Told-m~api_key": SECRET})
    site.flow("ann", flow_through("RunFlow", far, output="flow_outputs_message", name="far"))
    tweaks = {"flow_tweak_data": {"RunFlow-m": {"Told-m~base_url": EVIL}}}
    answer = said(site, tweaks, flow="far")
    assert EVIL in answer
    assert SECRET not in answer


def test_a_secret_goes_where_its_author_says(site):
    site.flow("ann", outer(**{"Told-m~api_key": SECRET, "Told-m~base_url": OWN}))
    assert f"{OWN} {SECRET}" in said(site)


def test_the_requests_own_key_goes_where_the_request_says(site):
    site.flow("ann", outer())
    assert f"{EVIL} mine" in said(site, {"Told-m~base_url": EVIL, "Told-m~api_key": "mine"})


def test_what_a_plugin_hands_on_counts_as_anybodys_secret(site):
    site.flow("ann", flow_through("RunsBlindly", settings(key=SECRET, address=OWN), name="outer"))
    answer = said(site, {"address": EVIL}, kind="RunsBlindly")
    assert EVIL in answer
    assert SECRET not in answer


def test_the_text_for_the_inner_flow_is_as_secret_there(site):
    template = settings(flow_name_selected="inner", input_value="the author's words")
    flow = flow_through("RunFlow", template, output="flow_outputs_message", field="flow_tweak_data", name="outer")
    flow["data"]["edges"] = flow["data"]["edges"][1:]
    flow["data"]["nodes"] = flow["data"]["nodes"][1:]
    site.flow("ann", flow)
    assert "AUTHOR" in said(site)


def test_a_text_that_is_called_like_a_flow_opens_none(site):
    for name in ("hidden", "meant"):
        site.flow("ann", flow_through("Told", settings(base_url="reached"), field="text", name=name))
    flow = flow_through("RunFlow", settings(flow_name="meant"), output="flow_outputs_message", name="outer")
    flow["data"]["nodes"][2]["data"]["node"]["template"] = settings(sender_name="hidden")
    site.flow("ann", flow)
    site.add_user("ann", "limited", flows=["outer"])
    assert "reached" in str(site.say("limited", "outer", "hi"))
    body = {"input_value": "hi", "tweaks": {"RunFlow-m": {"flow_name": "hidden"}}}
    refused = site.ask("limited", "POST", "/api/v1/run/outer", 404, json=body)
    assert "hidden not found" in str(refused)
