"""Sites that the tests mount a runner in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flask import Flask, g, jsonify, request, session

from flowrunner import Identity

FLOWS = Path(__file__).resolve().parents[2] / "examples" / "flows"
#: What a page of the site sends along; see flowrunner.web.csrf.
OWN = {"X-Flowrunner": "1"}


def by_session(request):
    """Know people by the site's own session cookie."""
    return session.get("user")


def make_site(folder: Path, **config) -> Flask:
    """Return a site with a login of its own, HTML error pages and a header on everything."""
    app = Flask("site", instance_path=str(folder / "instance"), root_path=str(folder))
    app.config.update(SECRET_KEY="secret", TESTING=True, FLOWRUNNER_FLOWS_DIR=str(FLOWS), **config)

    @app.before_request
    def count():
        g.before = "ran"

    @app.get("/")
    def home():
        return "home"

    @app.post("/login/<user>")
    def login(user):
        session["user"] = user
        return "in"

    @app.post("/logout")
    def logout():
        session.clear()
        return "out"

    @app.get("/json")
    def as_json():
        return jsonify(b=1, a=2)

    @app.errorhandler(404)
    def not_found(error):
        return f"<h1>The site has no {request.path}</h1>", 404

    @app.errorhandler(405)
    def not_allowed(error):
        return "<h1>The site does not do that</h1>", 405

    return app


def by_header(request):
    """Know people by a header, as behind a proxy that has checked them."""
    name = request.headers.get("X-Checked-User")
    return Identity(name, admin=name == "root") if name else None


def author_by_header(request):
    """As :func:`by_header`, and the site lets everybody make flows."""
    found = by_header(request)
    return None if found is None else replace(found, author=True)


def run_flow(client, text="hi", *, flow="basic-chat", prefix="/assistant", headers=(), **body):
    """Run a flow as a page of the site would."""
    return client.post(
        f"{prefix}/api/v1/run/{flow}", json={"input_value": text, **body}, headers={**OWN, **dict(headers)}
    )


def texts(client, session_id, *, prefix="/assistant"):
    """Return the texts of a session, as its sender sees them."""
    found = client.get(f"{prefix}/api/v1/monitor/messages", query_string={"session_id": session_id})
    assert found.status_code == 200, found.text
    return [message["text"] for message in found.json]
