"""URL: fetch the text of web pages."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final

from flowrunner import (
    AddressRefused,
    Component,
    Destination,
    Input,
    Message,
    Output,
    RunContext,
    destination,
    refuse_secrets,
    telling_headers,
    text_of,
)

from .fetching import Fetched, FetchFailed, Limits, fetch, read_headers
from .pages import Page, links_of

_MOST_PAGES: Final = 50


class Url(Component):
    """Fetch web pages and return their text."""

    type_name = "URLComponent"
    aliases = ("URL",)
    display_name = "URL"
    blocking = True
    asks_destination = True
    inputs = (
        Input("urls", "str", many=True, required=True, tool=True, info="addresses of web pages"),
        Input("max_depth", "int", default=1, info="levels of links to follow: 1 for none, 2 for linked pages, ..."),
        Input("prevent_outside", "bool", default=True, info="follow links to the same host only"),
        Input("follow_redirects", "bool", default=True),
        Input("format", "str", default="Text", options=("Text", "HTML", "Markdown", "Raw HTML", "JSON")),
        Input("timeout", "int", default=30, info="time limit for each page in seconds"),
        Input("headers", "any", info="headers to send: rows of key and value"),
        Input("filter_text_html", "bool", default=True, info="skip content that is not text"),
        Input("continue_on_failure", "bool", default=True, info="continue if a page cannot be fetched"),
        Input("check_response_status", "bool", default=False, info="treat an error status as a failure"),
    )
    outputs = (
        Output("page_results", "Table", aliases=("data", "dataframe", "results")),
        Output("raw_results", aliases=("text",)),
    )

    def packages_for(self, settings: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the packages that it imports when it runs."""
        return {"lxml": "pip install 'flask-flowrunner[pages]'"}

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return the pages as rows and their text.

        :raises ValueError: if there is no address, or no page could be fetched.
        """
        wanted = _addresses(values["urls"])
        if not wanted:
            raise ValueError("no address is set")
        rows, failures = _crawl(context, wanted, values)
        if not rows:
            raise FetchFailed("; ".join(failures) or "nothing was found")
        if not context.wanted:
            return {"page_results": rows}
        text = "\n\n".join(row["text"] for row in rows)
        return {"page_results": rows, "raw_results": Message(text=text, flow_id=context.flow_id)}


def limits_of(seconds: Any) -> Limits:
    """Return the limits of a fetching component."""
    return Limits(seconds=float(min(300, max(1, seconds or 30))))


def _addresses(given: Iterable[Any]) -> list[str]:
    found: dict[str, None] = {}
    for item in given:
        for word in text_of(item).replace(",http", " http").split():
            found[word if "://" in word else f"https://{word}"] = None
    return list(found)


def _crawl(context: RunContext, wanted: list[str], values: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    rows: list[dict[str, Any]] = []
    failures: list[str] = []
    seen = set(wanted)
    todo = deque((destination(context, url, "urls"), 1) for url in wanted)
    limits, headers = limits_of(values["timeout"]), read_headers(values["headers"])
    while todo and len(rows) < _MOST_PAGES:
        to, depth = todo.popleft()
        context.cancelled.raise_if_set()
        try:
            answer = fetch(
                to,
                headers=_headers_for(context, to, headers, linked=depth > 1),
                limits=limits,
                redirects=values["follow_redirects"],
                cancelled=context.cancelled,
            )
            if answer.status >= 400 and (values["check_response_status"] or depth == 1):
                raise FetchFailed(f"{answer.url} answers with status {answer.status}")
        except (FetchFailed, AddressRefused) as error:
            if not values["continue_on_failure"]:
                raise
            failures.append(str(error))
            continue
        page = Page(answer.text, markdown=values["format"] == "Markdown") if "html" in answer.kind else None
        if page is None and values["filter_text_html"] and not _is_text(answer.kind):
            continue
        rows.append(_row(answer, page, values["format"]))
        if page is not None and depth < (values["max_depth"] or 1):
            for link in links_of(page, answer.url, inside=values["prevent_outside"]):
                if link not in seen:
                    seen.add(link)
                    todo.append((to.follow(link), depth + 1))
    return rows, failures


def _headers_for(context: RunContext, to: Destination, headers: dict[str, str], *, linked: bool) -> dict[str, str]:
    """Return the headers to send: to a server that only a link names, none that could hold a secret.

    :raises AddressRefused: if an address of somebody less trusted would get such a one.
    """
    told = telling_headers(headers)
    if linked and not to.takes(context.given("headers").secret):
        return {name: value for name, value in headers.items() if name not in told}
    refuse_secrets(context, to, {"headers": told})
    return headers


def _row(answer: Fetched, page: Page | None, form: str) -> dict[str, Any]:
    raw = page is None or form in ("HTML", "Raw HTML")
    return {
        "text": answer.text if raw or page is None else page.text(),
        "url": answer.url,
        "title": page.title if page is not None else "",
        "description": page.description if page is not None else "",
        "content_type": answer.headers.get("content-type", ""),
    }


def _is_text(kind: str) -> bool:
    return kind.startswith("text/") or kind.endswith(("json", "xml")) or not kind
