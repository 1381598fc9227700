"""The playground: a page to talk to flows and to see what happened. It uses the public API, and nothing else."""

from typing import Final

from flowrunner.playground.api import add_playground_api
from flowrunner.playground.page import add_page
from flowrunner.web.blueprint import Routes

__all__ = ["NEEDED_PARTS", "add_playground_routes"]

#: Parts of the API that the page reads from.
NEEDED_PARTS: Final = ("flows", "monitor")


def add_playground_routes(routes: Routes) -> None:
    """Add the page, its files, and the API routes that draw flows and render Markdown."""
    add_page(routes)
    add_playground_api(routes)
