"""A site with two assistants: one for everybody, one for the people who work there.

Each has flows, settings and data of its own; the second reads settings with the prefix
``STAFF_FLOWRUNNER_``. Start it with ``flask --app app run`` in this folder.
"""

import os
import secrets

from flask import Flask, Response, render_template, request
from werkzeug.security import check_password_hash, generate_password_hash

from flowrunner import FlowRunner
from flowrunner.integrations.identity import http_basic, visitors

#: Names of the staff, and the hashes of their passwords; a real site reads them from somewhere. Without a password
#: there is no staff.
STAFF = {"kim": generate_password_hash(os.environ["KIMS_PASSWORD"])} if os.environ.get("KIMS_PASSWORD") else {}
known = http_basic(lambda name, password: name in STAFF and check_password_hash(STAFF[name], password))


def staff_only(request):
    """Ask whoever is not known for a name and password."""
    if known(request) is None:
        return Response("Who are you?", 401, {"WWW-Authenticate": 'Basic realm="Staff"'})
    return None


public = FlowRunner(url_prefix="/help", identity=visitors(), flows_dir="flows/public")
staff = FlowRunner(
    url_prefix="/staff/help", name="staff", identity=known, guard=staff_only, flows_dir="flows/staff", run_log=False
)


def create_app(config=None):
    """Return the site with both."""
    app = Flask(__name__)
    # Without one the cookies of visitors hold until the next start, and in one process: set a random one to serve.
    app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_hex()
    app.config.update(config or {})
    public.init_app(app)
    staff.init_app(app)

    @app.get("/")
    def home():
        return render_template("page.html", title="Welcome", flow="welcome", runner="flowrunner")

    @app.get("/staff/")
    def desk():
        refused = staff_only(request)
        return refused or render_template("page.html", title="Staff", flow="handbook", runner="staff")

    return app
