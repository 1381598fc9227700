"""Who may read which variable: a name that came with a request reaches less than one of the flow's author."""

import pytest

from tests.web.site import echo_flow, flow_through

SECRET = "value-that-nobody-may-see"


@pytest.fixture
def keyed(site, monkeypatch):
    """A site whose environment and whose owner each keep a key."""
    monkeypatch.setenv("OPENAI_API_KEY", f"environment-{SECRET}")
    for name, kind in (("STORED", "Generic"), ("CREDENTIAL", "Credential")):
        stored = {"name": name, "value": f"stored-{SECRET}-{kind}", "type": kind, "default_fields": []}
        site.ask("ann", "POST", "/api/v1/variables/", 201, json=stored)
    return site


def named(variable):
    return {"value": variable, "load_from_db": True}


def field(variable):
    return {"value": variable, "load_from_db": True, "type": "str", "show": True}


TWEAKS = {
    "a field": lambda variable: {"ChatOutput-b": {"sender_name": named(variable)}},
    "the session": lambda variable: {"ChatInput-a": {"session_id": named(variable)}},
    "every field of the name": lambda variable: {"sender_name": named(variable)},
}


@pytest.mark.parametrize("variable", ["OPENAI_API_KEY", "CREDENTIAL"])
@pytest.mark.parametrize("tweak", TWEAKS.values(), ids=TWEAKS)
def test_a_tweak_shows_no_key_of_the_environment_and_no_credential(keyed, tweak, variable):
    body = {"input_value": "x", "tweaks": tweak(variable)}
    answer = keyed.call("ann", "POST", f"/api/v1/run/{keyed.flow('ann')}", json=body)
    assert SECRET not in answer.get_data(as_text=True)
    assert SECRET not in str(keyed.messages("ann"))


def test_a_tweak_names_the_callers_own_variables(keyed):
    tweaks = TWEAKS["a field"]("STORED")
    keyed.say("ann", keyed.flow("ann"), "x", "s", tweaks=tweaks)
    assert [m["sender_name"] for m in keyed.messages("ann")] == ["User", f"stored-{SECRET}-Generic"]


def test_a_limited_key_names_none_but_the_author_may(keyed):
    plain, ours = echo_flow("plain"), echo_flow("ours")
    ours["data"]["nodes"][1]["data"]["node"]["template"] = {"sender_name": field("STORED")}
    plain, ours = keyed.flow("ann", plain), keyed.flow("ann", ours)
    keyed.add_user("ann", "limited", flows=("plain", "ours"))
    answer = keyed.call(
        "limited", "POST", f"/api/v1/run/{plain}", json={"input_value": "x", "tweaks": TWEAKS["a field"]("STORED")}
    )
    assert SECRET not in answer.get_data(as_text=True)
    keyed.say("limited", ours, "x", "s")
    assert keyed.messages("ann", "?session_id=s")[1]["sender_name"] == f"stored-{SECRET}-Generic"


def test_a_request_names_what_it_brings(keyed):
    body = {"input_value": "x", "session_id": "s", "tweaks": TWEAKS["a field"]("MINE")}
    headers = {"X-LANGFLOW-GLOBAL-VAR-MINE": "brought"}
    keyed.ask("ann", "POST", f"/api/v1/run/{keyed.flow('ann')}", json=body, headers=headers)
    assert keyed.messages("ann")[1]["sender_name"] == "brought"


def test_keys_of_the_environment_go_into_secrets_only(keyed):
    flow = echo_flow()
    flow["data"]["nodes"][1]["data"]["node"]["template"] = {"sender_name": field("OPENAI_API_KEY")}
    keyed.call("ann", "POST", f"/api/v1/run/{keyed.flow('ann', flow)}", json={"input_value": "x"})
    assert SECRET not in str(keyed.messages("ann"))


def test_what_the_operator_lists_goes_into_any_field(make_site, monkeypatch):
    monkeypatch.setenv("COMPANY", "Mill & Sons")
    site = make_site(variables="COMPANY")
    site.add_user("ann")
    template = {"value": "{a} {b}", "type": "prompt", "show": True}
    flow = flow_through("Prompt Template", {"template": template, "b": field("COMPANY")}, "prompt", "a")
    site.say("ann", site.flow("ann", flow), "hello")
    assert site.texts("ann") == ["hello", "hello Mill & Sons"]


@pytest.mark.parametrize("name", ["name", "value", "type"])
def test_a_null_is_not_taken_for_a_name_that_is_there_already(site, name):
    body = {"name": "X", "value": "1", "type": "Generic", "default_fields": [], name: None}
    refused = site.ask("ann", "POST", "/api/v1/variables/", 422, json=body)
    assert refused["detail"][0]["loc"] == ["body", name]
