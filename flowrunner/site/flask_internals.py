"""The two places that depend on undocumented behavior of Flask and Werkzeug, with the reasons.

Tried with Flask 3.1 and Werkzeug 3.1; ``tests/embedding/test_flask_internals.py`` fails when either
changes what is used here. Everything else in the package uses what Flask documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from werkzeug.routing import Rule


class _SlowToBuild(Rule):
    """A rule that compiles what builds addresses when an address is first built.

    That compiling is three quarters of what registering our rules costs (11 of 14 ms at each start),
    and most of ours are never built. Werkzeug has no public way to put it off.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        made: list[Callable[..., tuple[str, str]]] = []
        compile_now = super()._compile_builder

        def build(rule: Rule, **values: Any) -> tuple[str, str]:
            if not made:
                made.append(compile_now(append_unknown))
            return made[0](rule, **values)

        return build


@contextmanager
def slow_to_build(app: Flask) -> Iterator[None]:
    """Have the rules that are registered meanwhile compile their builders later."""
    usual = app.url_rule_class
    app.url_rule_class = type("Rule", (_SlowToBuild, usual), {})  # type: ignore[assignment]
    try:
        yield
    finally:
        app.url_rule_class = usual


class _EveryMethod(set[str]):
    """The verbs of a rule that takes every one of them and lists none.

    What a rule lists, Flask gives as allowed for a page of the site's own, where both take its path.
    A rule without methods would do for matching, but Werkzeug then finds no verb of the other rules.
    """

    def __contains__(self, method: object) -> bool:
        # With this verb, which is none, Werkzeug asks which others there are.
        return method != "--"


def take_every_method(app: Flask, endpoints: Iterable[str]) -> None:
    """Have the rules of these endpoints match every verb without listing any."""
    for endpoint in endpoints:
        for rule in app.url_map.iter_rules(endpoint):
            rule.methods = _EveryMethod()
