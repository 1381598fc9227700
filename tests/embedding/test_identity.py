"""Who sends a request: the site says, and nobody else; what one user has no other sees."""

from __future__ import annotations

import base64
import time

import jwt as pyjwt
import pytest
from flask import Flask, request
from flask_login import LoginManager, UserMixin, login_user, logout_user
from werkzeug.security import generate_password_hash

from flowrunner.errors import FlowRunnerError
from flowrunner.extension import FlowRunner
from flowrunner.identity import Identity
from flowrunner.integrations import identity as recipes
from tests.embedding.conftest import close_runners
from tests.embedding.sites import OWN, make_site, run_flow, texts

QUIET = {"url_prefix": "/assistant", "memory": "in-memory", "run_log": False}


def who(site: Flask, recipe, **arguments) -> Identity | None:
    """Return what a recipe says of a request."""
    with site.test_request_context("/", **arguments):
        return recipe(request)


class TestOwners:
    def test_two_users_with_one_session_id_have_two_conversations(self, mounted):
        ann, bob = mounted.test_client(), mounted.test_client()
        ann.post("/login/ann")
        bob.post("/login/bob")
        run_flow(ann, "from ann", session_id="shared")
        run_flow(bob, "from bob", session_id="shared")
        assert texts(ann, "shared") == ["from ann", "from ann"]
        assert texts(bob, "shared") == ["from bob", "from bob"]

    def test_who_logs_in_after_another_sees_nothing(self, client):
        client.post("/login/ann")
        run_flow(client, "a secret", session_id="s")
        client.post("/logout")
        assert client.get("/assistant/api/v1/monitor/messages").status_code == 403
        assert run_flow(client).status_code == 403
        client.post("/login/bob")
        assert texts(client, "s") == []
        assert client.get("/assistant/api/v1/monitor/messages/sessions").json == []
        client.post("/logout")
        client.post("/login/ann")
        assert texts(client, "s") == ["a secret", "a secret"]

    @pytest.mark.parametrize(
        "header",
        ["X-User", "X-Forwarded-User", "X-Remote-User", "Remote-User", "X-Identity", "X-Flowrunner-User",
         "X-Checked-User", "From", "X-Owner", "X-Real-User", "X-Authenticated-User"],
    )  # fmt: skip
    def test_a_forged_header_makes_nobody_known(self, mounted, header):
        ann = mounted.test_client()
        ann.post("/login/ann")
        run_flow(ann, "a secret", session_id="s")
        nobody, bob = mounted.test_client(), mounted.test_client()
        bob.post("/login/bob")
        forged = {header: "ann"}
        assert run_flow(nobody, headers=forged).status_code == 403
        assert bob.get("/assistant/api/v1/monitor/messages", headers=forged).json == []

    def test_naming_an_owner_is_for_admins(self, client):
        client.post("/login/bob")
        assert run_flow(client, headers={"X-Flowrunner-Owner": "ann"}).status_code == 403

    def test_a_forged_cookie_makes_nobody_known(self, client):
        client.set_cookie("session", "eyJ1c2VyIjoiYW5uIn0.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb")
        assert run_flow(client).status_code == 403

    def test_an_api_key_works_beside_the_login(self, mounted):
        keys = mounted.extensions["flowrunner"]["flowrunner"].stores["keys"]
        made = keys.create("robot")
        key = next(value for value in vars_of(made) if isinstance(value, str) and keys.identify(value))
        client = mounted.test_client()
        answer = client.post("/assistant/api/v1/run/basic-chat", json={}, headers={"x-api-key": key})
        assert answer.status_code == 200


def vars_of(made):
    if isinstance(made, str):
        return [made]
    if isinstance(made, tuple):
        return made
    return [getattr(made, name) for name in made.__dataclass_fields__]


class TestFlaskLogin:
    @pytest.fixture
    def app(self, tmp_path):
        site = make_site(tmp_path)
        manager = LoginManager(site)

        class User(UserMixin):
            def __init__(self, name):
                self.id = self.username = name

        manager.user_loader(User)

        @site.post("/in/<name>")
        def log_in(name):
            login_user(User(name))
            return ""

        @site.post("/out")
        def log_out():
            logout_user()
            return ""

        FlowRunner(site, identity=recipes.flask_login(admin=lambda user: user.id == "root"), **QUIET)
        yield site
        close_runners(site)

    def test_the_user_is_the_owner(self, app):
        client = app.test_client()
        assert run_flow(client).status_code == 403
        client.post("/in/ann")
        run_flow(client, "mine", session_id="s")
        assert texts(client, "s") == ["mine", "mine"]
        client.post("/out")
        assert run_flow(client).status_code == 403

    def test_admins_are_who_the_site_says(self, app):
        ann, root = app.test_client(), app.test_client()
        ann.post("/in/ann")
        root.post("/in/root")
        run_flow(ann, "mine", session_id="s")
        assert texts(root, "s") == ["mine", "mine"]

    def test_without_flask_login_it_says_so(self, site):
        FlowRunner(site, identity=recipes.flask_login(), **QUIET)
        answer = run_flow(site.test_client())
        assert (answer.status_code, "login_manager.init_app(app)" in answer.json["detail"]) == (500, True)


class TestFlaskSecurity:
    def test_the_user_is_the_owner(self, tmp_path):
        security = pytest.importorskip("flask_security")
        from flask_security.models import fsqla_v3
        from flask_sqlalchemy import SQLAlchemy

        site = make_site(
            tmp_path, SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'site.db'}", WTF_CSRF_ENABLED=False,
            SECURITY_PASSWORD_SALT="1", SECURITY_PASSWORD_HASH="plaintext", SECURITY_PASSWORD_SCHEMES=["plaintext"],
            SECURITY_SEND_REGISTER_EMAIL=False, SECURITY_HASHING_SCHEMES=["hex_md5"],
            SECURITY_DEPRECATED_HASHING_SCHEMES=[], SECURITY_EMAIL_VALIDATOR_ARGS={"test_environment": True},
        )  # fmt: skip
        db = SQLAlchemy(site)
        fsqla_v3.FsModels.set_db_info(db)

        class Role(db.Model, fsqla_v3.FsRoleMixin):
            pass

        class User(db.Model, fsqla_v3.FsUserMixin):
            pass

        store = security.SQLAlchemyUserDatastore(db, User, Role)
        security.Security(site, store)
        FlowRunner(site, identity=recipes.flask_security(admin_role="boss"), **QUIET)
        with site.app_context():
            db.create_all()
            for name in ("ann", "root"):
                store.create_user(email=f"{name}@example.test", password=security.hash_password("pass word"))
            store.add_role_to_user(store.find_user(email="root@example.test"), store.create_role(name="boss"))
            db.session.commit()
        clients = {}
        for name in ("ann", "root"):
            clients[name] = site.test_client()
            form = {"email": f"{name}@example.test", "password": "pass word"}
            assert clients[name].post("/login", json=form).status_code == 200
        run_flow(clients["ann"], "mine", session_id="s")
        assert texts(clients["ann"], "s") == texts(clients["root"], "s") == ["mine", "mine"]
        with site.app_context():
            db.engine.dispose()
        close_runners(site)


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
        with pytest.raises(FlowRunnerError, match="name the algorithms"):
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
