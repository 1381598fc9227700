"""A shop with an application factory, users, forms and migrations, and an assistant that knows its orders.

Start it in this folder with ``flask --app shop db upgrade``, then ``flask --app shop run``.
"""

import os
import secrets

from flask import Flask

from flowrunner.integrations.migrations import without_ours
from shop import accounts, orders
from shop.extensions import assistant, csrf, db, login, migrate


def create_app(config=None):
    """Return the shop.

    :param config: what differs from the defaults, such as a database of the tests.
    """
    app = Flask(__name__, instance_relative_config=True)
    app.config.from_mapping(
        # Without one, logins hold until the next start, and in one process: set a random one where it serves.
        SECRET_KEY=os.environ.get("SECRET_KEY") or secrets.token_hex(),
        SQLALCHEMY_DATABASE_URI=os.environ.get("DATABASE_URL", "sqlite:///shop.db"),
        FLOWRUNNER_RUN_TIMEOUT=60,
    )
    app.config.update(config or {})
    db.init_app(app)
    login.init_app(app)
    csrf.init_app(app)
    # The shop's history of migrations has the shop's tables; the assistant looks after its own.
    migrate.init_app(app, db, include_name=without_ours())
    assistant.init_app(app)
    app.register_blueprint(accounts.bp)
    app.register_blueprint(orders.bp)

    @app.after_request
    def add_policy(response):
        response.headers.setdefault("Content-Security-Policy", "default-src 'self'; frame-ancestors 'self'")
        return response

    return app
