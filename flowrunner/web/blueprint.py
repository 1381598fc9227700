"""The blueprint with all routes of a runner."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cached_property, partial
from typing import Any, Final

from flask import Blueprint, Response, current_app, request
from flask.blueprints import BlueprintSetupState
from flask.sansio.app import App
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.exceptions import NotFound as NoSuchPage

from flowrunner.authority import OPEN, Need
from flowrunner.errors import NotAllowed, SettingsInvalid, StoreFailed
from flowrunner.runner import Runner
from flowrunner.store.stream_files import StreamFolder
from flowrunner.store.streams import StreamTable
from flowrunner.web.auth import IDENTITY, RUNNER, authenticate, this_request
from flowrunner.web.errors import add_error_handlers
from flowrunner.web.headers import Hygiene
from flowrunner.web.input import add_session_converter
from flowrunner.web.json_io import json_response
from flowrunner.web.route import Route, RouteGroup
from flowrunner.web.site_hooks import ask_guard, look_around
from flowrunner.web.spool import Spool, StreamStore

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

#: Endpoints of the catch-all rules for paths and methods that no other rule matches.
CATCH_ALL: Final = ("nothing_here", "nothing_at_root")


class RunnerBlueprint(Blueprint):
    """The blueprint of one runner.

    ``runner`` answers its requests; ``routes`` are all of its routes; ``needs`` has the permission for each route, by
    name; ``spool`` holds its resumable streams.
    """

    def __init__(self, name: str, runner: Runner) -> None:
        super().__init__(name, __name__)
        self.runner = runner
        self.routes: list[Route] = []
        self.needs: dict[str, Need] = {}
        self.spool = Spool(lambda: self._streams, runner.settings.resume_seconds)
        #: The OpenAPI description by base address, and the HTML page.
        self.descriptions: dict[str, bytes] = {}

    @cached_property
    def _streams(self) -> StreamStore:
        """The store of streams: the database if several hosts may share it, otherwise a folder."""
        engine, folder = self.runner.engine, self.runner.settings.data_dir / "streams"
        return StreamFolder(folder) if engine.dialect.name == "sqlite" else StreamTable(engine)

    def register(self, app: App, options: dict[str, Any]) -> None:
        """Register the blueprint with an app.

        :raises SettingsInvalid: if a route does not declare a permission, naming it.
        """
        super().register(app, options)
        place = f"{options.get('name_prefix', '')}.{options.get('name', self.name)}".lstrip(".")
        for rule in app.url_map.iter_rules():
            within, _, name = str(rule.endpoint).rpartition(".")
            if within == place and name not in self.needs:
                raise SettingsInvalid(
                    f"The route {rule.rule} does not declare which permission its caller needs: declare it in a"
                    " RouteGroup with needs=..."
                )

    def declare(self, route: Route) -> None:
        """Add a route."""
        self.routes.append(route)
        self.needs[route.name] = route.needs
        self._take(route.rule, route.name, route.endpoint, methods=[route.method])

    def catch(self, rule: str, name: str, view: Callable[..., Response]) -> None:
        """Add a catch-all rule for what no route matches."""
        self.needs[name] = OPEN
        self._take(rule, name, view, methods=METHODS, provide_automatic_options=False)

    def _take(self, rule: str, name: str, view: Callable[..., Response], **options: Any) -> None:
        # Slashes are never merged: a session id may begin with a slash, and must stay the same.
        self.add_url_rule(rule, name, view, merge_slashes=False, strict_slashes=False, **options)


def this_blueprint() -> RunnerBlueprint:
    """Return the blueprint that answers the current request."""
    found = current_app.blueprints[request.blueprint or ""]
    assert isinstance(found, RunnerBlueprint)
    return found


def make_blueprint(
    runner: Runner,
    *,
    name: str = "flowrunner",
    groups: Iterable[RouteGroup],
    guard: Callable[[Any], Any] | None = None,
) -> RunnerBlueprint:
    """Return the blueprint of a runner, to be registered under any prefix.

    :param groups: its routes.
    :param guard: called with each request first; see :func:`~flowrunner.web.site_hooks.ask_guard`.
    """
    blueprint = RunnerBlueprint(name, runner)
    blueprint.record(add_session_converter)
    hygiene = Hygiene(runner)
    blueprint.url_value_preprocessor(partial(look_around, runner))
    for group in groups:
        for route in group:
            blueprint.declare(route)
    blueprint.catch("/", "nothing_at_root", _nothing_here)
    blueprint.catch("/<path:rest>", "nothing_here", _nothing_here)
    needs = blueprint.needs
    #: URL variables of the mount point, such as ``lang`` in ``/<lang>``.
    of_the_place: set[str] = set()
    blueprint.record(lambda state: of_the_place.update(_names_in_the_place(state)))
    add_error_handlers(blueprint)

    # One hook for all: Flask checks for each request whether a hook is a coroutine.
    def before() -> Any:
        answer = hygiene.before()
        if answer is None and guard is not None:
            answer = ask_guard(guard)
        if answer is not None:
            return answer
        asked = this_request()
        asked.environ[RUNNER] = runner
        if runner.is_open:
            runner.runs.wake()
        if asked.method != "OPTIONS":
            need = needs.get((asked.endpoint or "").rsplit(".", 1)[-1])
            if need is None:
                raise NotAllowed("This route does not declare who may call it, so all requests are refused.")
            if need.capability is not None:
                if runner.watch.refusal:
                    raise StoreFailed(runner.watch.refusal)
                identity = asked.environ[IDENTITY] = authenticate(runner, asked)
                need.check(identity, asked.method)
        for name in of_the_place:
            # These are for the hooks of the site, which have run already; our views do not take them.
            (asked.view_args or {}).pop(name, None)
        return None

    blueprint.before_request(before)
    blueprint.after_request(hygiene.after)
    return blueprint


def _names_in_the_place(state: BlueprintSetupState) -> set[str]:
    """Return the URL variables of the mount point, such as ``lang`` in ``/<lang>``."""
    full = f"{state.name_prefix}.{state.name}".lstrip(".")
    rules = (rule for name in CATCH_ALL for rule in state.app.url_map.iter_rules(f"{full}.{name}"))
    return {name for rule in rules for name in rule.arguments} - {"rest"}


def _nothing_here(rest: str = "") -> Response:
    """Answer 404 and 405 under our prefix in JSON, without affecting paths of the host."""
    allowed = sorted(_allowed_methods())
    if allowed and request.method not in allowed:
        raise MethodNotAllowed(valid_methods=allowed)
    if allowed and request.method == "OPTIONS":
        answer = json_response(None)
        answer.headers["Allow"] = ", ".join(allowed)
        return answer
    raise NoSuchPage


def _allowed_methods() -> set[str]:
    """Return the methods allowed for the current path."""
    adapter = current_app.create_url_adapter(request)
    if adapter is None:
        return set()
    found = set()
    for method in METHODS:
        # A method that does not match is not allowed for this path.
        with suppress(Exception):
            rule, _ = adapter.match(method=method, return_rule=True)
            if not str(rule.endpoint).endswith(CATCH_ALL):
                found.add(method)
    return found
