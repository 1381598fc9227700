"""Clients that log in by themselves: an open server gives them a token, another one says that it does not."""

import pytest

REFUSAL = {"message": "Auto login is disabled.", "auto_login": False}


def test_an_open_server_gives_a_token_for_the_local_user(make_site):
    site = make_site(auth="none")
    login = site.ask(None, "GET", "/api/v1/auto_login")
    assert (login["token_type"], login["refresh_token"]) == ("bearer", None)
    token = {"Authorization": f"Bearer {login['access_token']}"}
    made = site.ask(None, "POST", "/api/v1/flows/", 201, json={"name": "mine"}, headers=token)
    assert made["user_id"] == site.ask(None, "GET", f"/api/v1/flows/{made['id']}")["user_id"]
    site.ask(None, "GET", "/api/v1/monitor/messages", headers=token)
    site.ask(None, "GET", "/api/v1/flows/", 401, headers={"Authorization": "Bearer another"})


@pytest.mark.parametrize("user", [None, "ann"])
def test_where_keys_are_asked_there_is_none(site, user):
    answer = site.ask(user, "GET", "/api/v1/auto_login", 403)
    assert answer["detail"] == REFUSAL
    token = {"Authorization": "Bearer local"}
    site.ask(None, "GET", "/api/v1/flows/", 401, headers=token)
    site.ask(None, "POST", "/api/v1/run/x", 403, headers=token, json={})


def test_who_is_elsewhere_gets_no_token_of_an_open_server(make_site):
    site = make_site(auth="none")
    site.ask(None, "GET", "/api/v1/auto_login", 403, environ_base={"REMOTE_ADDR": "203.0.113.9"})
    token = {"Authorization": "Bearer local"}
    elsewhere = {"environ_base": {"REMOTE_ADDR": "203.0.113.9"}}
    site.ask(None, "GET", "/api/v1/flows/", 403, headers=token, **elsewhere)
    site.ask(None, "GET", "/api/v1/auto_login", 400, headers={"Host": "evil.example"})


def test_a_site_that_knows_its_users_gives_none(make_site):
    from flowrunner import Identity

    site = make_site(auth="none")
    site.runner.identify = lambda request: Identity("somebody")
    assert site.ask(None, "GET", "/api/v1/auto_login", 403)["detail"] == REFUSAL
