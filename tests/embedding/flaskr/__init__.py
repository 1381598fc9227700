"""A small blog, as one learns it with Flask: people register, log in, and write posts.

It stands here for the many sites that have no runner yet: the tests mount one in it and look
whether anything else has changed.
"""

from pathlib import Path

from flask import Flask, jsonify, render_template


def create_app(config=None):
    """Return the blog."""
    app = Flask(__name__, instance_relative_config=True)
    app.config.from_mapping(SECRET_KEY="not for production", DATABASE=str(Path(app.instance_path, "blog.sqlite")))
    app.config.update(config or {})
    Path(app.instance_path).mkdir(parents=True, exist_ok=True)

    from . import accounts, blog, database

    database.init_app(app)
    app.register_blueprint(accounts.bp)
    app.register_blueprint(blog.bp)
    app.add_url_rule("/", endpoint="index")

    @app.get("/hello")
    def hello():
        return "Hello, World!"

    @app.get("/state.json")
    def state():
        return jsonify(z=1, a=["ä", None], posts=database.get_db().execute("SELECT count(*) FROM post").fetchone()[0])

    @app.get("/broken")
    def broken():
        raise RuntimeError("this page is broken")

    @app.errorhandler(404)
    def no_page(error):
        return render_template("error.html", title="No such page"), 404

    @app.errorhandler(500)
    def failed(error):
        return render_template("error.html", title="Something broke"), 500

    @app.after_request
    def add_policy(response):
        response.headers["Content-Security-Policy"] = "default-src 'self'"
        response.headers["X-Blog"] = "yes"
        return response

    return app
