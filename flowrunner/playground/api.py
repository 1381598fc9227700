"""Routes of the public API that the page needs beside the others: drawing, facts, rendered Markdown."""

from __future__ import annotations

from typing import Final

from flask import Response, request

from flowrunner.authority import AUTHOR, CONVERSE, is_own_author
from flowrunner.playground.drawing import draw_flow
from flowrunner.playground.facts import describe_flow, names_of
from flowrunner.playground.markdown import render
from flowrunner.runner import Runner
from flowrunner.store.credentials import mask_text
from flowrunner.store.flowmask import mask_graph
from flowrunner.web.auth import caller
from flowrunner.web.blueprint import Routes
from flowrunner.web.jsons import json_response, read_object
from flowrunner.web.parameters import invalid, query_text

MOST_TEXTS: Final = 200


def add_playground_api(routes: Routes) -> None:
    """Add ``graph.svg`` and ``plan`` of a flow, and ``/api/v1/render``."""
    runner = routes.runner

    def draw(flow_id: str) -> Response:
        """Draw a flow as SVG."""
        flow = runner.find(flow_id, caller())
        drawn = draw_flow(flow, names_of(runner, flow))
        if not is_own_author(caller(), flow.owner):
            drawn = mask_text(drawn)
        answer = Response(drawn, content_type="image/svg+xml; charset=utf-8")
        answer.headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'; sandbox"
        return answer

    def describe(flow_id: str) -> Response:
        """Say what is known of a flow before it runs; ``session_id`` is the one that a request would name."""
        flow = runner.find(flow_id, caller())
        found = describe_flow(runner, flow, session_id=query_text("session_id") or "")
        return json_response(found if is_own_author(caller(), flow.owner) else mask_graph(found))

    def render_texts() -> Response:
        """Render Markdown: ``{"texts": [...]}`` gives ``{"html": [...]}``, null where the text is to be shown as is."""
        return json_response({"html": [render(text) for text in _texts(runner)]})

    flows = "/api/v1/flows/<flow_id>"
    routes.add(f"{flows}/graph.svg", draw, methods=["GET"], name="draw_flow", needs=AUTHOR)
    routes.add(f"{flows}/plan", describe, methods=["GET"], name="describe_flow", needs=AUTHOR)
    routes.add("/api/v1/render", render_texts, methods=["POST"], name="render_texts", needs=CONVERSE.that_reads)


def _texts(runner: Runner) -> list[str]:
    settings = runner.settings
    body = read_object(request, limit=settings.max_body, strict_type=settings.auth == "none")
    texts = body.get("texts")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise invalid(("body", "texts"), "list_type", "Input should be a list of texts")
    if len(texts) > MOST_TEXTS:
        raise invalid(("body", "texts"), "too_long", f"At most {MOST_TEXTS} texts are rendered at once")
    return texts
