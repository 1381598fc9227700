"""The chat box: an element for the site's own templates, with its script and style sheet."""

from __future__ import annotations

import hashlib
import logging
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import WeakSet

from flask import Flask, Response, current_app, has_request_context, request, url_for
from markupsafe import Markup

from flowrunner.authority import OPEN
from flowrunner.errors import FlowNotFound, FlowRunnerError, SettingsInvalid
from flowrunner.identity import LOCAL_IDENTITY
from flowrunner.runner import Runner
from flowrunner.web.mounts import blueprints_of, pick_name, runners_of
from flowrunner.web.route import RouteGroup
from flowrunner.web.schemas import TEXT, Media

logger = logging.getLogger("flowrunner")

#: The files that are served, by name, and their types.
FILES: Final = {"chatbox.js": "text/javascript", "chatbox.css": "text/css"}

_FOLDER: Final = Path(__file__).parent / "static" / "chatbox"
_WEEK: Final = 7 * 24 * 3600


routes = RouteGroup("server")


@routes.get(
    "/chatbox/<name>",
    needs=OPEN,
    answers={200: Media({"text/javascript": TEXT, "text/css": TEXT}), 304: None},
    errors=(404,),
)
def chatbox_file(name: str) -> Response:
    """Send the script or the style sheet of the chat box."""
    if name not in FILES:
        raise FlowNotFound("File not found.")
    answer = Response(_read(name), content_type=f"{FILES[name]}; charset=utf-8")
    answer.set_etag(_version(name))
    answer.headers["Cache-Control"] = f"public, max-age={_WEEK}"
    answer.make_conditional(request)
    return answer


def add_chat_box(app: Flask) -> None:
    """Add ``flowrunner_chat`` to the app's templates, when its Jinja environment is created.

    The environment is not created here, since the site may still set its options.
    """
    if "jinja_env" in vars(app):
        app.jinja_env.globals[flowrunner_chat.__name__] = flowrunner_chat
        return

    class WithChatBox(app.jinja_environment):  # type: ignore[name-defined, misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.globals[flowrunner_chat.__name__] = flowrunner_chat

    app.jinja_environment = WithChatBox


def flowrunner_chat(
    flow: str, *, runner: str | None = None, session_id: str | None = None, nonce: str | None = None, **words: str
) -> Markup:
    """Return the HTML of a chat box for a flow: a custom element and its script.

    The session id of each visitor is kept in their browser; messages stay on the server and are shown to their owner
    only.

    :param flow: the id or endpoint name of the flow.
    :param runner: the name of the runner, if the app has several.
    :param session_id: the session to use instead of the visitor's own.
    :param nonce: the nonce of the page's Content-Security-Policy, if it has one.
    :param words: texts to show: ``heading``, ``greeting``, ``placeholder``, ``send``, ``stop``, ``fresh``,
        ``failed``; and the attributes ``lang``, ``id`` and ``class_`` of the element.
    :raises FlowNotFound: in debug mode or tests, if the flow does not exist; otherwise this is logged, since a page
        should not fail because of its chat box.
    :raises SettingsInvalid: in debug mode or tests, if the runner is on another host than the page.
    """
    name = pick_name(current_app, runner)
    _look_for(runners_of(current_app)[name], flow)
    _warn_of_strangers(runners_of(current_app)[name])
    place = blueprints_of(current_app)[name]
    values = _values_of_page(place)
    api = url_for(f"{place}.nothing_at_root", **values).rstrip("/")
    _refuse_other_host(api)
    attributes = {"flow": flow, "api": f"{api}/api/v1", "look": _address(place, "chatbox.css", values)}
    if session_id:
        attributes["session-id"] = session_id
    if nonce:
        attributes["nonce"] = nonce
    attributes.update({word.rstrip("_").replace("_", "-"): text for word, text in words.items()})
    shown = Markup(" ").join(Markup('{}="{}"').format(key, value) for key, value in attributes.items())
    script = Markup('<script type="module" src="{}"{}></script>').format(
        _address(place, "chatbox.js", values), Markup(' nonce="{}"').format(nonce) if nonce else ""
    )
    return Markup("<flowrunner-chat {}></flowrunner-chat>{}").format(shown, script)


def _look_for(runner: Runner, flow: str) -> None:
    """Check that a flow exists: in the folders, or else among the visitor's own."""
    if runner.library.folders.find(flow) is not None:
        return
    who = runner.identify(request) if runner.identify is not None and has_request_context() else None
    try:
        runner.library.get(flow, who or LOCAL_IDENTITY)
    except FlowNotFound as error:
        _complain(error)


def _warn_of_strangers(runner: Runner) -> None:
    """Log once that the runner identifies no users, so that the box only works for requests with an API key."""
    if runner.identify is None and runner.settings.auth != "none" and runner not in _warned:
        _warned.add(runner)
        logger.warning(
            "chat box: the visitors of this page are refused, since nobody told FlowRunner who they are. Pass it"
            " identity=, such as flask_login() or visitors() of flowrunner.integrations.identity."
        )


_warned: Final[WeakSet[Runner]] = WeakSet()


def _refuse_other_host(api: str) -> None:
    """Refuse a box that could never work: browsers do not load a script module or send a login across hosts.

    Outside a request, the host of the page is unknown.
    """
    host = urlsplit(api).netloc
    if not host or not has_request_context() or host == request.host:
        return
    _complain(
        SettingsInvalid(
            f"The chat box on a page at {request.host} would call the runner at {host}, which browsers block: mount the"
            " runner on the host of the page, by FlowRunner(...) without subdomain= or with the subdomain of the page."
        )
    )


def _complain(error: FlowRunnerError) -> None:
    """Raise an error in debug mode or tests; otherwise log it, since a page should not fail because of its chat box."""
    if current_app.debug or current_app.testing:
        raise error
    logger.error("chat box: %s", error.message)


def _values_of_page(place: str) -> dict[str, Any]:
    """Return the URL variables of the mount point with their values in the address of the page."""
    given = (request.view_args or {}) if has_request_context() else {}
    rule = next(current_app.url_map.iter_rules(f"{place}.nothing_at_root"))
    return {name: given[name] for name in rule.arguments & given.keys()}


def _address(place: str, name: str, values: dict[str, Any]) -> str:
    return url_for(f"{place}.chatbox_file", **{**values, "name": name, "v": _version(name)[:12]})


@cache
def _read(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()


@cache
def _version(name: str) -> str:
    return hashlib.sha256(_read(name)).hexdigest()
