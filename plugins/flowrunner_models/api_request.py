"""API Request: one HTTP request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flowrunner import Component, Input, Output, RunContext, destination, refuse_secrets, telling_headers, text_of

from .curl import read_curl
from .fetching import Fetched, FetchFailed, fetch, read_headers
from .url import limits_of

_METHODS: Final = ("GET", "POST", "PATCH", "PUT", "DELETE")


class ApiRequest(Component):
    """Send one HTTP request and return the response."""

    type_name = "APIRequest"
    aliases = ("APIRequestComponent",)
    display_name = "API Request"
    blocking = True
    asks_destination = True
    inputs = (
        Input("url_input", "str", tool=True, aliases=("url", "urls"), info="address of the request"),
        Input("method", "str", default="GET", options=_METHODS),
        Input("mode", "str", default="URL", options=("URL", "cURL")),
        Input("curl_input", "str", aliases=("curl",), info="a curl command, in mode cURL"),
        Input("query_params", "any", accepts=("Data",), info="query parameters to add to the address"),
        Input("body", "any", accepts=("Data", "Table"), info="body, sent as JSON with POST, PATCH and PUT"),
        Input("headers", "any", accepts=("Data",), info="headers to send: rows of key and value"),
        Input("timeout", "int", default=30),
        Input("follow_redirects", "bool", default=False),
        Input("include_httpx_metadata", "bool", default=False, info="also return the response headers"),
    )
    outputs = (Output("data", "Data", aliases=("api_response", "make_requests")),)

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return status, address and content of the answer.

        :raises ValueError: if there is no address, or nothing answers.
        """
        url, method = values["url_input"].strip(), (values["method"] or "GET").upper()
        headers, body = read_headers(values["headers"]), _body(values["body"])
        redirects, field = values["follow_redirects"], "url_input"
        if values["mode"] == "cURL" and values["curl_input"].strip():
            curl, field = read_curl(values["curl_input"]), "curl_input"
            url, method, headers, body = curl.url, curl.method, curl.headers, curl.body
            redirects = redirects or curl.redirects
        if not url:
            raise ValueError("no address is set")
        if method not in (*_METHODS, "HEAD"):
            raise ValueError(f"unknown method {method[:20]}")
        url = _with_query(url if "://" in url else f"https://{url}", values["query_params"])
        if body is not None and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/json"
        body = None if method in ("GET", "HEAD") else body
        to = destination(context, url, field, read=_curl_addresses if field == "curl_input" else None)
        told: dict[str, Any] = {"headers": telling_headers(headers), "body": body}
        if field == "curl_input":
            told = {field: told["headers"] or body}
        refuse_secrets(context, to, {**told, "query_params": values["query_params"]})
        answer = fetch(
            to,
            method=method,
            headers=headers,
            body=body,
            limits=limits_of(values["timeout"]),
            redirects=redirects,
            cancelled=context.cancelled,
        )
        data: dict[str, Any] = {"source": answer.url, "status_code": answer.status, "result": _content(answer)}
        if values["include_httpx_metadata"]:
            data["response_headers"] = dict(answer.headers)
        return {"data": data}


def _curl_addresses(command: Any) -> list[str]:
    """Return the address in a curl command; none if it cannot be read."""
    try:
        return [read_curl(text_of(command)).url]
    except ValueError:
        return []


def _body(value: Any) -> bytes | None:
    if value in (None, "", [], {}):
        return None
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (list, tuple)) and all(isinstance(r, Mapping) and "key" in r for r in value):
        value = {row["key"]: row.get("value") for row in value}
    return json.dumps(value, ensure_ascii=False, default=text_of).encode()


def _with_query(url: str, given: Any) -> str:
    if isinstance(given, Mapping):
        more = [(str(k), text_of(v)) for k, v in given.items()]
    else:
        more = parse_qsl(given.lstrip("?")) if isinstance(given, str) and given.strip() else []
    if not more:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        raise FetchFailed("the address is not valid") from None
    query = "&".join(part for part in (parts.query, urlencode(more)) if part)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def _content(answer: Fetched) -> Any:
    text = answer.text
    if answer.kind.endswith("json") or text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
