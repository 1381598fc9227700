"""All routes of a runner, as one blueprint."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from flask import Response, current_app, request
from flask_smorest import Blueprint
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.exceptions import NotFound as NoSuchPage

from flowrunner.runner import Runner
from flowrunner.web.auth import IDENTITY, authenticate
from flowrunner.web.errors import add_error_handlers
from flowrunner.web.headers import add_hygiene
from flowrunner.web.host_site import keep_to_site
from flowrunner.web.jsons import json_response
from flowrunner.web.paths import add_session_converter

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_CATCH_ALL: Final = ("nothing_here", "nothing_at_root")

#: Routes that answer without a key, by endpoint.
OPEN_ENDPOINTS: Final = frozenset(
    {
        "health",
        "health_check",
        "version",
        "config",
        "openapi",
        "chatbox_file",
        "playground",
        "playground_file",
        *_CATCH_ALL,
    }
)


class _EveryMethod(set[str]):
    """The verbs of a rule that takes every one of them and lists none.

    What a rule lists Flask would give as allowed for a page of the site's own, where both take its path.
    """

    def __contains__(self, method: object) -> bool:
        # With this verb, which is none, werkzeug asks which others there are.
        return method != "--"


class Routes:
    """Adds routes to the blueprint of one runner; ``added`` has rule, method and name of each."""

    def __init__(self, blueprint: Any, runner: Runner) -> None:
        self.blueprint = blueprint
        self.runner = runner
        self.added: list[tuple[str, str, str]] = []

    def add(self, rule: str, view: Callable[..., Any], *, methods: Iterable[str], name: str, **options: Any) -> None:
        """Add a route. Slashes are never merged: a session id may begin with one, and it must stay the same session."""
        methods = list(methods)
        self.added += [(rule, method, name) for method in methods]
        self.blueprint.add_url_rule(
            rule, name, view, methods=methods, merge_slashes=False, strict_slashes=False, **options
        )


def make_blueprint(
    runner: Runner, *, name: str = "flowrunner", parts: Iterable[Callable[[Routes], None]],
    guard: Callable[[Any], Any] | None = None,
) -> Any:  # fmt: skip
    """Return the blueprint of a runner, to be registered under any prefix.

    :param parts: functions that add routes.
    :param guard: sees each request before anything else does; see :func:`~flowrunner.web.host_site.keep_to_site`.
    """
    blueprint = Blueprint(name, __name__, description="flowrunner")
    blueprint.record(add_session_converter)
    add_hygiene(blueprint, runner)
    keep_to_site(blueprint, runner, guard)
    routes = Routes(blueprint, runner)
    for part in parts:
        part(routes)
    routes.add("/", _nothing_here, methods=METHODS, name="nothing_at_root", provide_automatic_options=False)
    routes.add("/<path:rest>", _nothing_here, methods=METHODS, name="nothing_here", provide_automatic_options=False)
    #: Names in the place itself, such as ``lang`` where a blueprint of the site lies at ``/<lang>``.
    of_the_place: set[str] = set()
    blueprint.record(lambda state: of_the_place.update(_open_to_every_method(state)))
    add_error_handlers(blueprint)

    def identify_caller() -> None:
        # Through the proxy every look at the request costs three calls more.
        asked = request._get_current_object()  # type: ignore[attr-defined]
        endpoint = (asked.endpoint or "").rsplit(".", 1)[-1]
        if endpoint not in OPEN_ENDPOINTS and asked.method != "OPTIONS":
            asked.environ[IDENTITY] = authenticate(runner, asked)
        for name in of_the_place:
            # Those are for the site, whose hooks have seen them by now; our views take none of them.
            (asked.view_args or {}).pop(name, None)

    blueprint.before_request(identify_caller)
    _join_hooks(blueprint)
    return blueprint


def _join_hooks(blueprint: Any) -> None:
    """Make one hook of all before a request, and one of all after it.

    Flask looks at each hook of each request anew to see whether it is a coroutine, which costs more than ours do.
    """
    before, after = list(blueprint.before_request_funcs[None]), list(reversed(blueprint.after_request_funcs[None]))

    def before_all() -> Any:
        for hook in before:
            answer = hook()
            if answer is not None:
                return answer
        return None

    def after_all(response: Response) -> Response:
        for hook in after:
            response = hook(response)
        return response

    blueprint.before_request_funcs[None] = [before_all]
    blueprint.after_request_funcs[None] = [after_all]


def _open_to_every_method(state: Any) -> set[str]:
    """Have the catch-all rules take every verb, and return the names of values in the place where they lie."""
    names: set[str] = set()
    for name in _CATCH_ALL:
        for rule in state.app.url_map.iter_rules(f"{state.name_prefix}.{state.name}.{name}".lstrip(".")):
            rule.methods = _EveryMethod()
            names |= rule.arguments
    return names - {"rest"}


def _nothing_here(rest: str = "") -> Response:
    """Answer unknown paths and wrong verbs under our prefix in our way, without touching the host's."""
    allowed = sorted(_allowed_methods())
    if allowed and request.method not in allowed:
        raise MethodNotAllowed(valid_methods=allowed)
    if allowed and request.method == "OPTIONS":
        answer = json_response(None)
        answer.headers["Allow"] = ", ".join(allowed)
        return answer
    raise NoSuchPage


def _allowed_methods() -> set[str]:
    """Return the methods by which another rule than the catch-all takes the present path."""
    adapter = current_app.create_url_adapter(request)
    if adapter is None:
        return set()
    found = set()
    for method in METHODS:
        try:
            rule, _ = adapter.match(method=method, return_rule=True)
        except Exception:  # noqa: S112 - whatever does not match is no method of this path
            continue
        if not str(rule.endpoint).endswith(_CATCH_ALL):
            found.add(method)
    return found
