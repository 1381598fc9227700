"""What Flask and Werkzeug do not promise, and we use all the same: a change in either shows here."""

from flask import Flask
from werkzeug.routing import Rule

from flowrunner.site.flask_internals import slow_to_build, take_every_method


def make_app():
    app = Flask("site")
    app.add_url_rule("/page", "page", lambda: "page", methods=["GET", "POST"])
    return app


def test_rules_registered_meanwhile_build_the_same_addresses_later(monkeypatch):
    compiled = []
    usual = Rule._compile_builder
    monkeypatch.setattr(Rule, "_compile_builder", lambda self, *more: compiled.append(self.rule) or usual(self, *more))
    app = make_app()
    with slow_to_build(app):
        app.add_url_rule("/a/<path:rest>", "late", lambda rest: rest, defaults={"n": 1})
    assert "/page" in compiled and "/a/<path:rest>" not in compiled
    with app.test_request_context():
        assert app.url_for("late", rest="x y/z", n=1, q="w") == "/a/x%20y/z?q=w"
    assert "/a/<path:rest>" in compiled
    assert app.url_rule_class is Flask.url_rule_class


def test_a_rule_for_every_method_takes_all_and_lists_none():
    app = make_app()
    app.add_url_rule("/<path:rest>", "rest", lambda rest: f"rest {rest}", methods=["GET"])
    take_every_method(app, ["rest"])
    client = app.test_client()
    assert client.open("/elsewhere", method="PURGE").text == "rest elsewhere"
    assert client.delete("/page").text == "rest page"
    assert client.get("/page").text == "page"
    assert set(client.options("/page").headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
