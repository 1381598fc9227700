"""Routes for the playground: drawing and describing a flow, rendering Markdown."""

from __future__ import annotations

from typing import Any, Final

from flask import Response
from marshmallow import Schema, fields

from flowrunner.authority import AUTHOR, CONVERSE, is_own_author
from flowrunner.playground.description import describe_flow as facts_of
from flowrunner.playground.description import names_of
from flowrunner.playground.drawing import draw_flow
from flowrunner.store.credentials import mask_text
from flowrunner.store.flowmask import mask_graph
from flowrunner.web.auth import caller, this_runner
from flowrunner.web.fields import Texts, filter_text
from flowrunner.web.route import Input, RouteGroup
from flowrunner.web.schemas import TEXT, Body, Media

MOST_TEXTS: Final = 200

routes = RouteGroup("flows")
render_routes = RouteGroup("server")


class TextsToRender(Body):
    """Texts to render."""

    texts = Texts(required=True, most=MOST_TEXTS)


class Rendered(Schema):
    """Rendered texts; null where the text is to be shown as it is."""

    html = fields.List(fields.String(allow_none=True), required=True)


@routes.get(
    "/api/v1/flows/<flow_id>/graph.svg",
    name="draw_flow",
    needs=AUTHOR,
    answers={200: Media({"image/svg+xml": TEXT})},
    errors=(422,),
)
def draw(flow_id: str) -> Response:
    """Draw a flow."""
    runner = this_runner()
    flow = runner.find(flow_id, caller())
    drawn = draw_flow(flow, names_of(runner, flow))
    if not is_own_author(caller(), flow.owner):
        drawn = mask_text(drawn)
    answer = Response(drawn, content_type="image/svg+xml; charset=utf-8")
    answer.headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'; sandbox"
    return answer


@routes.get(
    "/api/v1/flows/<flow_id>/plan",
    needs=AUTHOR,
    query={"session_id": filter_text("The session that a request would name.")},
    answers={200: {"type": "object"}},
)
def describe_flow(flow_id: str, query: Input) -> Any:
    """Show the components of a flow, its edges, and what decides each session."""
    runner = this_runner()
    flow = runner.find(flow_id, caller())
    found = facts_of(runner, flow, session_id=query["session_id"] or "")
    return found if is_own_author(caller(), flow.owner) else mask_graph(found)


@render_routes.post("/api/v1/render", needs=CONVERSE.that_reads, body=TextsToRender, answers={200: Rendered})
def render_texts(body: Input) -> dict[str, Any]:
    """Render Markdown: `{"texts": [...]}` gives `{"html": [...]}`, null where a text is to be shown as it is.

    Those are texts of more than 50,000 characters, and all that come after 200,000.
    """
    # A parser that nobody needs before they read something need not slow down the start.
    from flowrunner.playground.markdown import render_all

    return {"html": render_all(body["texts"])}
