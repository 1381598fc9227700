"""Who sends a request: the site says, and nobody else; what one user has no other sees."""

from __future__ import annotations

import pytest
from flask_login import LoginManager, UserMixin, login_user, logout_user

from flowrunner.extension import FlowRunner
from flowrunner.integrations import identity as recipes
from tests.embedding.conftest import close_runners
from tests.embedding.sites import make_site, run_flow, texts

QUIET = {"url_prefix": "/assistant", "memory": "in-memory", "run_log": False}


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
        [
            "X-User",
            "X-Forwarded-User",
            "X-Remote-User",
            "Remote-User",
            "X-Identity",
            "X-Flowrunner-User",
            "X-Checked-User",
            "From",
            "X-Owner",
            "X-Real-User",
            "X-Authenticated-User",
        ],
    )
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
        keys = mounted.extensions["flowrunner"]["flowrunner"].stores.keys
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
            tmp_path,
            SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'site.db'}",
            WTF_CSRF_ENABLED=False,
            SECURITY_PASSWORD_SALT="1",
            SECURITY_PASSWORD_HASH="plaintext",
            SECURITY_PASSWORD_SCHEMES=["plaintext"],
            SECURITY_SEND_REGISTER_EMAIL=False,
            SECURITY_HASHING_SCHEMES=["hex_md5"],
            SECURITY_DEPRECATED_HASHING_SCHEMES=[],
            SECURITY_EMAIL_VALIDATOR_ARGS={"test_environment": True},
        )
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
