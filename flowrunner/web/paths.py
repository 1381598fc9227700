"""The URL converter for session ids, which may contain slashes."""

from __future__ import annotations

from typing import Any, Final

from flask import request
from werkzeug.routing import BaseConverter

from flowrunner.errors import BadRequest

SESSION_CONVERTER: Final = "flowrunner_session"


class SessionConverter(BaseConverter):
    """The rest of a path, at least one character: slashes count, also doubled, leading and trailing ones."""

    regex = r"(?s:.+)"
    weight = 200
    part_isolating = False


def add_session_converter(state: Any) -> None:
    """Make the converter known to the app that a blueprint is registered in."""
    state.app.url_map.converters[SESSION_CONVERTER] = SessionConverter


def check_path() -> None:
    """Refuse a path whose bytes are no UTF-8: replaced by a stand-in, they could name another session.

    :raises BadRequest: for such a path.
    """
    try:
        request.environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise BadRequest("The path is not UTF-8.") from None
