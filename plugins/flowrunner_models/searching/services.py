"""Search services: the request to each, and its results as rows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from flowrunner import Destination, RunContext, Word

from ..fetching import Fetched, FetchFailed, fetch
from ..url import limits_of

#: Where the services are. They are addresses of ours, to which whoever has a key for them may send it.
SERVERS: Final[dict[str, str]] = {
    "Tavily": "https://api.tavily.com",
    "Serper": "https://google.serper.dev",
    "SerpApi": "https://serpapi.com",
    "SearchApi": "https://www.searchapi.io",
    "Wikipedia": "https://{lang}.wikipedia.org",
    "arXiv": "https://export.arxiv.org",
    "DuckDuckGo": "https://html.duckduckgo.com",
    "Google News": "https://news.google.com",
}
Row = dict[str, Any]
_LANGUAGE: Final = re.compile(r"[a-z]{2,12}(?:-[a-z]{2,12}){0,2}")


def ask_tavily(context: RunContext, key: str, question: Mapping[str, Any]) -> list[Row]:
    """Ask Tavily: its answer, if there is one, and pages."""
    found = _json(_post(context, "Tavily", "/search", question, {"Authorization": f"Bearer {key}"}))
    rows: list[Row] = [{"text": found["answer"], "title": "Answer"}] if found.get("answer") else []
    for one in _rows(found.get("results")):
        raw = {"raw_content": one["raw_content"]} if one.get("raw_content") else {}
        rows.append({"text": one.get("content", ""), **_known(one, "title", "url", "score"), **raw})
    pictures = found.get("images")
    return rows + ([{"text": "Images", "images": pictures}] if pictures else [])


def ask_serper(context: RunContext, key: str, text: str, count: int) -> list[Row]:
    """Ask Serper for what Google finds."""
    found = _json(_post(context, "Serper", "/search", {"q": text, "num": count}, {"X-API-KEY": key}))
    return [_result(one) for one in _rows(found.get("organic"))][:count]


def ask_serpapi(context: RunContext, key: str, text: str, count: int, more: Mapping[str, Any]) -> list[Row]:
    """Ask SerpApi for what Google, or another engine that ``more`` names, finds."""
    query = {"engine": "google", **more, "q": text, "api_key": key}
    found = _json(_get(context, "SerpApi", "/search.json", query))
    return [_result(one) for one in _rows(found.get("organic_results"))][:count]


def ask_searchapi(
    context: RunContext, key: str, text: str, count: int, engine: str, more: Mapping[str, Any]
) -> list[Row]:
    """Ask SearchApi for what an engine finds."""
    query = {**more, "engine": engine or "google", "q": text}
    found = _json(_get(context, "SearchApi", "/api/v1/search", query, {"Authorization": f"Bearer {key}"}))
    return [_result(one) for one in _rows(found.get("organic_results"))][:count]


def ask_wikipedia(context: RunContext, text: str, count: int, lang: str, longest: int) -> list[Row]:
    """Ask the Wikipedia of a language for pages, with their beginnings.

    :raises ValueError: for a language that is none.
    """
    language = lang.strip().lower() or "en"
    if not _LANGUAGE.fullmatch(language):
        raise ValueError(f"lang {language[:20]} is not a language of Wikipedia")
    query = {
        "action": "query",
        "format": "json",
        "formatversion": 2,
        "generator": "search",
        "gsrsearch": text[:300],
        "gsrlimit": min(20, count),
        "prop": "extracts|info",
        "exintro": 1,
        "explaintext": 1,
        "exlimit": "max",
        "inprop": "url",
    }
    found = _json(_get(context, "Wikipedia", "/w/api.php", query, lang=language))
    pages = sorted(_rows((found.get("query") or {}).get("pages")), key=lambda page: page.get("index", 0))
    return [
        {"text": str(page.get("extract", ""))[:longest], "title": page.get("title", ""), "url": page.get("fullurl", "")}
        for page in pages
    ]


def ask_arxiv(context: RunContext, text: str, count: int, field: str) -> list[Row]:
    """Ask arXiv for papers, with their summaries."""
    prefix = {"title": "ti", "abstract": "abs", "author": "au", "category": "cat"}.get(field, "all")
    query = {"search_query": f"{prefix}:{text}", "max_results": min(100, count)}
    root = _xml(_get(context, "arXiv", "/api/query", query))
    rows = []
    for entry in root.iterfind("{*}entry"):
        names = [_inside(author, "name") for author in entry.iterfind("{*}author")]
        rows.append(
            {
                "text": _inside(entry, "summary"),
                "title": _inside(entry, "title"),
                "url": _inside(entry, "id"),
                "published": _inside(entry, "published"),
                "authors": names,
            }
        )
    return rows


def ask_duckduckgo(context: RunContext, text: str, count: int, longest: int) -> list[Row]:
    """Ask DuckDuckGo, which wants no key, for pages."""
    answer = _get(context, "DuckDuckGo", "/html/", {"q": text})
    page = _lxml("html").fromstring(answer.text or "<html></html>")
    rows = []
    for link in page.xpath("//a[contains(concat(' ', @class, ' '), ' result__a ')]")[:count]:
        around = link.xpath("ancestor::div[contains(@class, 'result')][1]//*[contains(@class, 'result__snippet')]")
        said = " ".join(around[0].text_content().split())[:longest] if around else ""
        title = " ".join(link.text_content().split())
        rows.append({"text": said or title, "title": title, "link": _target(link.get("href", "")), "snippet": said})
    return rows


def ask_news(context: RunContext, text: str, count: int, more: Mapping[str, str]) -> list[Row]:
    """Ask Google News for articles."""
    query = {
        "q": " ".join(filter(None, (text, more.get("location")))),
        "hl": more.get("hl") or "en-US",
        "gl": more.get("gl") or "US",
        "ceid": more.get("ceid") or "US:en",
    }
    topic = more.get("topic", "").strip()
    path = f"/rss/headlines/section/topic/{quote(topic.upper(), safe='')}" if topic else "/rss/search"
    return feed_rows(_get(context, "Google News", path, query))[:count]


def feed_rows(answer: Fetched) -> list[Row]:
    """Return the entries of an RSS or Atom feed."""
    rows = []
    for item in _xml(answer).iterfind(".//{*}item"):
        said = _plain(_inside(item, "description"))
        rows.append(
            {
                "text": said or _inside(item, "title"),
                "title": _inside(item, "title"),
                "link": _inside(item, "link"),
                "published": _inside(item, "pubDate"),
                "summary": said,
            }
        )
    return rows


def fetched(context: RunContext, to: Destination, **more: Any) -> Fetched:
    """Fetch, and refuse an answer that says that something is wrong.

    :raises FetchFailed: with what the server says.
    """
    answer = fetch(to, limits=limits_of(30), cancelled=context.cancelled, **more)
    if answer.status >= 400:
        host = urlsplit(to.url).hostname
        raise FetchFailed(f"{host} answers with status {answer.status}: {answer.text.strip()[:200]}")
    return answer


def _get(
    context: RunContext,
    service: str,
    path: str,
    query: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
    *,
    lang: str = "",
) -> Fetched:
    url = SERVERS[service].format(lang=lang) + path + "?" + urlencode({k: v for k, v in query.items() if v is not None})
    return fetched(context, Destination(url, Word.OPERATOR), headers=headers)


def _post(context: RunContext, service: str, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Fetched:
    sent = {**headers, "Content-Type": "application/json"}
    to = Destination(SERVERS[service] + path, Word.OPERATOR)
    return fetched(context, to, method="POST", headers=sent, body=json.dumps(body).encode())


def _json(answer: Fetched) -> dict[str, Any]:
    try:
        found = json.loads(answer.text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise FetchFailed(f"{urlsplit(answer.url).hostname} did not answer with search results")
    return found


def _xml(answer: Fetched) -> Any:
    """Return the root of an XML document; what it declares is not fetched and not expanded."""
    etree = _lxml("etree")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=True, huge_tree=False)
    root = etree.fromstring(answer.body, parser) if answer.body.strip() else None
    if root is None:
        raise FetchFailed(f"{urlsplit(answer.url).hostname} did not answer with search results")
    return root


def _lxml(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(f"lxml.{module}")
    except ImportError:
        raise ValueError("searching needs pip install 'flask-flowrunner[pages]'") from None


def _rows(found: Any) -> Sequence[Mapping[str, Any]]:
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _known(one: Mapping[str, Any], *names: str) -> Row:
    return {name: one[name] for name in names if one.get(name) is not None}


def _result(one: Mapping[str, Any]) -> Row:
    said = str(one.get("snippet") or "")
    return {"text": said or str(one.get("title") or ""), **_known(one, "title", "link", "position"), "snippet": said}


def _inside(node: Any, name: str) -> str:
    found = node.find(f"{{*}}{name}")
    return " ".join("".join(found.itertext()).split()) if found is not None else ""


def _plain(text: str) -> str:
    return " ".join(re.sub(r"<[^<>]*>", " ", text).split())


def _target(href: str) -> str:
    """Return where a result leads: DuckDuckGo's links go round by itself."""
    return parse_qs(urlsplit(href).query).get("uddg", [href])[0]
