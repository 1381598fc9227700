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
    """A rule that compiles its URL builder on first use.

    Compiling takes three quarters of the time to register our rules (11 of 14 ms at each start), and most builders
    are never used. Werkzeug has no public way to defer it.
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
    """Make rules registered within the block compile their builders on first use."""
    usual = app.url_rule_class
    app.url_rule_class = type("Rule", (_SlowToBuild, usual), {})  # type: ignore[assignment]
    try:
        yield
    finally:
        app.url_rule_class = usual


class _EveryMethod(set[str]):
    """The methods of a rule that matches every method but lists none.

    If a rule lists methods, Flask reports them as allowed for pages of the site that match the same path. A rule
    without methods would match too, but Werkzeug would then ignore the methods of other rules.
    """

    def __contains__(self, method: object) -> bool:
        # Werkzeug uses this invalid method to find out which methods are allowed.
        return method != "--"


def take_every_method(app: Flask, endpoints: Iterable[str]) -> None:
    """Make the rules of these endpoints match every method without listing any."""
    for endpoint in endpoints:
        for rule in app.url_map.iter_rules(endpoint):
            rule.methods = _EveryMethod()
