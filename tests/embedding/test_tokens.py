"""People known by a password, a token or a cookie of ours."""

from __future__ import annotations

import base64
import time

import jwt as pyjwt
import pytest
from flask import Flask, request
from werkzeug.security import generate_password_hash

from flowrunner.errors import FlowRunnerError, TooMany
from flowrunner.extension import FlowRunner
from flowrunner.identity import Identity
from flowrunner.integrations import identity as recipes
from tests.embedding.sites import OWN, run_flow, texts

QUIET = {"url_prefix": "/assistant", "memory": "in-memory", "run_log": False}


def who(site: Flask, recipe, **arguments) -> Identity | None:
    """Return what a recipe says of a request."""
    with site.test_request_context("/", **arguments):
        return recipe(request)


class TestHttpBasic:
    RECIPE = staticmethod(
        recipes.http_basic({"ann": generate_password_hash("apple", method="pbkdf2:sha256:1")}, admins=["ann"])
    )

    @pytest.mark.parametrize(
        ("given", "known"),
        [
            (("ann", "apple"), Identity("ann", admin=True, name="ann")),
            (("ann", "wrong"), None),
            (("ann", ""), None),
            (("bob", "apple"), None),
            (("", "apple"), None),
        ],
    )
    def test_name_and_password_belong_together(self, site, given, known):
        assert who(site, self.RECIPE, auth=given) == known

    @pytest.mark.parametrize(
        "header", ["", "Basic", "Basic !!!", "Bearer x", "Basic " + base64.b64encode(b"x").decode()]
    )
    def test_other_headers_make_nobody_known(self, site, header):
        assert who(site, self.RECIPE, headers={"Authorization": header}) is None

    def test_a_function_may_check(self, site):
        recipe = recipes.http_basic(lambda name, password: name == password)
        assert who(site, recipe, auth=("x", "x")) == Identity("x", name="x")

    def test_many_wrong_passwords_of_an_address_are_slowed_and_those_let_in_before_are_not_kept_out(self, site):
        asked = []

        def check(name, password):
            asked.append(name)
            return password == "apple"

        recipe = recipes.http_basic(check, max_wrong=3)

        def come(name, password, address="192.0.2.1"):
            return who(site, recipe, auth=(name, password), environ_overrides={"REMOTE_ADDR": address})

        assert come("ann", "apple") is not None
        assert [come(f"bob-{n}", "wrong") for n in range(3)] == [None] * 3
        for name, password in (("ann", "wrong"), ("bob", "apple"), ("carl", "wrong")):
            with pytest.raises(TooMany, match="wrong passwords from your address") as refused:
                come(name, password)
            assert 0 < refused.value.retry_after <= 60
        # A guess is not even looked at; who was let in before is asked again, and so are other addresses.
        assert len(asked) == 4
        assert come("ann", "apple") is not None and len(asked) == 5
        assert come("ann", "apple", "192.0.2.2") is not None
        assert come("bob", "wrong", "2001:db8::1") is None

    def test_without_a_bound_any_number_is_looked_at(self, site):
        recipe = recipes.http_basic(lambda name, password: password == "apple", max_wrong=0)
        assert [who(site, recipe, auth=("ann", "wrong")) for _ in range(50)] == [None] * 50
        assert who(site, recipe, auth=("ann", "apple")) is not None


class TestJwt:
    KEY = "a key of thirty-two characters and more"

    def token(self, key=KEY, algorithm="HS256", **claims):
        return pyjwt.encode({"sub": "ann", "exp": time.time() + 60, **claims}, key, algorithm=algorithm)

    def ask(self, site, token, **options):
        recipe = recipes.jwt(self.KEY, algorithms=["HS256"], **options)
        return who(site, recipe, headers={"Authorization": f"Bearer {token}"})

    def test_a_signed_token_says_who(self, site):
        assert self.ask(site, self.token(name="Ann")) == Identity("ann", name="Ann")
        assert self.ask(site, self.token(staff=True), admin_claim="staff") == Identity("ann", admin=True)
        assert self.ask(site, self.token(mail="a@b"), claim="mail") == Identity("a@b")
        assert self.ask(site, self.token(aud="us", iss="me"), audience="us", issuer="me") == Identity("ann")

    def test_other_tokens_make_nobody_known(self, site):
        none = pyjwt.encode({"sub": "ann", "exp": time.time() + 60}, "", algorithm="none")
        for token in (
            none,
            self.token(key="another key of thirty-two characters"),
            self.token(algorithm="HS512", key=self.KEY * 3),
            self.token(exp=time.time() - 60),
            self.token(aud="somebody else"),
            self.token()[:-4] + "AAAA",
            "a.b.c",
            "fr-an-api-key",
            "",
        ):
            assert self.ask(site, token) is None, token
        assert self.ask(site, self.token(iss="other"), issuer="me") is None
        for claim in ("", None, {"x": 1}, True):
            assert self.ask(site, self.token(owner=claim), claim="owner") is None
        unending = pyjwt.encode({"sub": "ann"}, self.KEY, algorithm="HS256")
        assert self.ask(site, unending) is None

    def test_a_key_may_be_looked_up(self, site):
        recipe = recipes.jwt(lambda token: self.KEY, algorithms=["HS256"])
        assert who(site, recipe, headers={"Authorization": f"Bearer {self.token()}"}) == Identity("ann")

    @pytest.mark.parametrize("algorithms", [[], "HS256", ["none"], ["HS256", "None"]])
    def test_the_algorithms_must_be_named(self, algorithms):
        with pytest.raises(FlowRunnerError, match="list the accepted algorithms"):
            recipes.jwt(self.KEY, algorithms=algorithms)

    def test_a_token_needs_no_other_proof(self, site):
        FlowRunner(site, identity=recipes.jwt(self.KEY, algorithms=["HS256"]), **QUIET)
        bearer = {"Authorization": f"Bearer {self.token()}"}
        answer = site.test_client().post("/assistant/api/v1/run/basic-chat", json={}, headers=bearer)
        assert answer.status_code == 200


class TestVisitors:
    @pytest.fixture
    def app(self, site):
        FlowRunner(site, identity=recipes.visitors(), **QUIET)
        return site

    def test_each_browser_is_somebody(self, app):
        one, other = app.test_client(), app.test_client()
        run_flow(one, "one", session_id="s")
        run_flow(other, "other", session_id="s")
        assert texts(one, "s") == ["one", "one"]
        assert texts(other, "s") == ["other", "other"]

    def test_the_cookie_is_signed_and_kept_from_scripts(self, app):
        client = app.test_client()
        cookie = run_flow(client).headers["Set-Cookie"]
        assert cookie.startswith("flowrunner_visitor=visitor-")
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "Secure" not in cookie
        again = run_flow(client)
        assert "Set-Cookie" not in again.headers
        secure = app.test_client().post("/assistant/api/v1/run/basic-chat", json={}, headers=OWN, base_url="https://x")
        assert "Secure" in secure.headers["Set-Cookie"]

    def test_a_forged_cookie_is_a_new_visitor(self, app):
        one, other = app.test_client(), app.test_client()
        run_flow(one, "one", session_id="s")
        value = one.get_cookie("flowrunner_visitor").value
        for forged in (value.rsplit(".", 2)[0], value[:-3] + "xyz", "visitor-1.2.3", ""):
            other.set_cookie("flowrunner_visitor", forged)
            assert texts(other, "s") == []

    def test_the_sites_own_pages_send_no_cookie(self, app):
        assert "Set-Cookie" not in app.test_client().get("/").headers

    def test_it_wants_a_secret(self, app):
        app.secret_key = None
        answer = run_flow(app.test_client())
        assert (answer.status_code, "SECRET_KEY" in answer.json["detail"]) == (500, True)


def test_everybody_is_one(site):
    assert who(site, recipes.everybody()) == Identity("everybody", name="everybody")


def test_the_first_recipe_that_knows_somebody_counts(site):
    recipe = recipes.first_of(lambda r: None, lambda r: Identity("second"), lambda r: Identity("third"))
    assert who(site, recipe) == Identity("second")
    assert who(site, recipes.first_of(lambda r: None)) is None
