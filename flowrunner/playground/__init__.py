"""The playground: a page to talk to flows and to see what happened. It uses the public API, and nothing else."""

from flowrunner.playground.api import add_playground_api
from flowrunner.playground.page import add_page
from flowrunner.web.blueprint import Routes

__all__ = ["add_playground_routes"]


def add_playground_routes(routes: Routes) -> None:
    """Add the page, its files, and the API routes that draw flows and render Markdown."""
    add_page(routes)
    add_playground_api(routes)
