"""The page and its static files. They are open, since they hold no data."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from flask import Response, request

from flowrunner.authority import OPEN
from flowrunner.errors import NotFound
from flowrunner.web.route import RouteGroup

FOLDER: Final = Path(__file__).parent / "static"

_TYPES: Final[dict[str, str]] = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

#: What the page may load and run: files of this server, and nothing that stands in the page itself.
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


routes = RouteGroup("")


@routes.get("/", needs=OPEN)
def front() -> Response:
    """Lead to the page."""
    # Relative where that is sure to be right: a proxy may have taken off more of the path than it says.
    asked = request.environ.get("PATH_INFO", "")
    place = "playground" if asked.endswith("/") else f"{request.script_root}{asked}/playground"
    return Response(status=302, headers={"Location": place, "Cache-Control": "no-cache"})


@routes.get("/playground", needs=OPEN)
def playground() -> Response:
    """Send the page to talk to flows."""
    if request.path.endswith("/"):
        # The addresses in the page are relative, so that it lies under any prefix.
        return Response(status=308, headers={"Location": "../playground"})
    answer = _send("index.html", "text/html")
    answer.headers["Content-Security-Policy"] = POLICY
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    return answer


@routes.get("/playground/<name>", needs=OPEN)
def playground_file(name: str) -> Response:
    """Send a script or a style of the page."""
    if name not in static_files():
        raise NotFound("File not found.")
    return _send(name, _TYPES[Path(name).suffix])


@cache
def static_files() -> frozenset[str]:
    """Return the names of the files that the page loads."""
    return frozenset(path.name for path in FOLDER.iterdir() if path.suffix in _TYPES)


def _send(name: str, kind: str) -> Response:
    packed = request.accept_encodings.best_match(["gzip"]) is not None
    answer = Response(packed_file(name) if packed else read_file(name), content_type=f"{kind}; charset=utf-8")
    answer.headers["Vary"] = "Accept-Encoding"
    # Asked for again each time: after an upgrade no old module meets a new one.
    answer.headers["Cache-Control"] = "no-cache"
    if packed:
        answer.headers["Content-Encoding"] = "gzip"
    answer.set_etag(_version(name) + ("-gz" if packed else ""))
    answer.make_conditional(request)
    return answer


@cache
def read_file(name: str) -> bytes:
    """Return a file of the page."""
    return (FOLDER / name).read_bytes()


@cache
def packed_file(name: str) -> bytes:
    """Return a file of the page, compressed."""
    return gzip.compress(read_file(name), 9, mtime=0)


@cache
def _version(name: str) -> str:
    return hashlib.sha256(read_file(name)).hexdigest()[:32]
