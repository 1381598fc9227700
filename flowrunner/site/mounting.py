"""Register a runner's routes with an app, without affecting the rest of the app."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from flask import Flask, current_app, has_app_context

from flowrunner.errors import SettingsInvalid
from flowrunner.runner import Runner
from flowrunner.site.flask_internals import slow_to_build, take_every_method
from flowrunner.web.blueprint import CATCH_ALL, make_blueprint
from flowrunner.web.chatbox import add_chat_box
from flowrunner.web.mounts import blueprints_of, runners_of
from flowrunner.web.route import RouteGroup
from flowrunner.web.routes import groups_of


@dataclass(frozen=True, slots=True)
class Place:
    """The mount point of routes: path, subdomain, and the name of the blueprint that contains them."""

    url_prefix: str
    subdomain: str | None = None
    within: str = ""

    @classmethod
    def in_blueprint(cls, state: Any, url_prefix: str) -> Place:
        """Return the mount point inside a blueprint of the site."""
        within = f"{state.name_prefix}.{state.name}".lstrip(".")
        return cls((state.url_prefix or "").rstrip("/") + url_prefix, state.subdomain, within)


def mount(app: Flask, runner: Runner, *, name: str, place: Place, guard: Callable[[Any], Any] | None) -> None:
    """Add the routes of a runner to an app.

    :raises SettingsInvalid: if another runner is mounted there, or the app has already handled a request.
    """
    blueprint = make_blueprint(runner, name=name, groups=_groups(runner), guard=guard)
    full = f"{place.within}.{name}".lstrip(".")
    _refuse_taken_place(app, place)
    options: dict[str, Any] = {"url_prefix": place.url_prefix or None, "name_prefix": place.within}
    if place.subdomain is not None:
        options["subdomain"] = place.subdomain
    try:
        with slow_to_build(app):
            app.register_blueprint(blueprint, **options)
    except AssertionError:
        # Flask does not accept new routes after the first request.
        raise SettingsInvalid(
            "This app has already handled a request; set up flowrunner where the app is created."
        ) from None
    take_every_method(app, (f"{full}.{endpoint}" for endpoint in CATCH_ALL))
    runner.around = _app_context(app)
    runners_of(app)[name] = runner
    blueprints_of(app)[name] = full
    add_chat_box(app)


def _groups(runner: Runner) -> tuple[RouteGroup, ...]:
    wanted, metrics = runner.settings.api, runner.settings.metrics
    if not runner.settings.playground:
        return groups_of(wanted, metrics=metrics)
    # Sites without the playground need not import it.
    from flowrunner import playground

    return (*groups_of((*wanted, *playground.NEEDED), metrics=metrics), *playground.GROUPS)


def _app_context(app: Flask) -> Callable[[], AbstractContextManager[Any]]:
    """Return a context manager that pushes the app context on threads without one, for components of the site."""

    def around() -> AbstractContextManager[Any]:
        if has_app_context() and current_app._get_current_object() is app:  # type: ignore[attr-defined]
            return nullcontext()
        return app.app_context()

    return around


def _refuse_taken_place(app: Flask, place: Place) -> None:
    wanted = f"{place.url_prefix}/<path:rest>"
    for rule in app.url_map.iter_rules():
        if rule.rule == wanted and (rule.subdomain or "") == (place.subdomain or "") and _is_ours(app, rule):
            raise SettingsInvalid(
                f"Another runner of this app is already mounted at {place.url_prefix or '/'}; pass another prefix:"
                " FlowRunner(url_prefix=...)."
            )


def _is_ours(app: Flask, rule: Any) -> bool:
    return any(str(rule.endpoint) == f"{name}.nothing_here" for name in blueprints_of(app).values())
