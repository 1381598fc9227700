"""The playground: a page to talk to flows and to see what happened. It uses the public API, and nothing else."""

from typing import Final

from flowrunner.playground import api, page

__all__ = ["GROUPS", "NEEDED"]

#: Names of the parts of the API that the page reads from.
NEEDED: Final = ("flows", "monitor")

#: The page, its files, and the API routes that draw flows and render Markdown.
GROUPS: Final = (page.routes, api.routes, api.render_routes)
