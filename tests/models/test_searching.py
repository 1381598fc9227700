"""What components that search ask of a service, and what they make of its answer, by a scripted server."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from flowrunner_models.searching import services
from flowrunner_models.searching.components import SEARCHES

from flowrunner import AddressRefused, Given, Word
from tests.components.context import make_context, run

pytest.importorskip("lxml")

BY_NAME = {one.type_name: one for one in SEARCHES}
FEED = (
    "<rss><channel><item><title>One</title><link>https://one.example/</link><pubDate>today</pubDate>"
    "<description>&lt;b&gt;First&lt;/b&gt; news</description></item></channel></rss>"
)
ATOM = (
    '<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>https://arxiv.example/1</id><title>A  paper</title>'
    "<summary>About it</summary><published>2024</published><author><name>Ann</name></author></entry></feed>"
)
PAGE = (
    '<div class="result"><a class="result__a" href="//duck.example/l/?uddg=https%3A%2F%2Fone.example%2F">'
    'One <b>hit</b></a><a class="result__snippet">Some   words about it</a></div>'
    '<div class="result"><a class="result__a" href="x">Two</a></div>'
)
HITS = [{"title": "One", "link": "https://one.example/", "snippet": "First", "position": 1}, {"title": "Two"}]
ANSWERS = {
    "/search": {
        "organic": HITS,
        "answer": "Yes.",
        "images": ["p"],
        "results": [{"content": "Text", "title": "T", "url": "u", "score": 1}],
    },
    "/search.json": {"organic_results": HITS},
    "/api/v1/search": {"organic_results": HITS},
    "/w/api.php": {
        "query": {
            "pages": [
                {"title": "B", "index": 2, "extract": "Second"},
                {"title": "A", "index": 1, "extract": "First page", "fullurl": "f"},
            ]
        }
    },
    "/api/query": ATOM,
    "/html/": PAGE,
    "/rss/search": FEED,
    "/rss/headlines/section/topic/SPORTS": FEED,
    "/feed.xml": FEED,
}


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_POST(self):
        self.do_GET()

    def do_GET(self):
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.asked.append(
            SimpleNamespace(
                path=parts.path,
                query={k: v[0] for k, v in parse_qs(parts.query).items()},
                headers=dict(self.headers.items()),
                body=json.loads(body) if body else None,
            )
        )
        found = self.server.answer if self.server.answer is not None else ANSWERS[parts.path]
        data = (found if isinstance(found, str) else json.dumps(found)).encode()
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def server(monkeypatch):
    opened = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    opened.asked, opened.answer, opened.status = [], None, 200
    thread = threading.Thread(target=opened.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    opened.url = f"http://127.0.0.1:{opened.server_port}"
    for name in services.SERVERS:
        monkeypatch.setitem(services.SERVERS, name, opened.url)
    yield opened
    opened.shutdown()
    opened.server_close()
    thread.join()


def search(kind, about=None, **values):
    return run(BY_NAME[kind](), about or make_context(), **values)["dataframe"]


FIRST = {"text": "First", "title": "One", "link": "https://one.example/", "position": 1, "snippet": "First"}
NEWS = {
    "text": "First news",
    "title": "One",
    "link": "https://one.example/",
    "published": "today",
    "summary": "First news",
}
DUCK = {
    "text": "Some words about it",
    "title": "One hit",
    "link": "https://one.example/",
    "snippet": "Some words about it",
}


@pytest.mark.parametrize(
    ("kind", "values", "first", "count"),
    [
        ("TavilySearchComponent", {"query": "q", "api_key": "k"}, {"text": "Yes.", "title": "Answer"}, 3),
        ("GoogleSerperAPICore", {"input_value": "q", "serper_api_key": "k"}, FIRST, 2),
        ("Serp", {"input_value": "q", "serpapi_api_key": "k", "max_results": 1}, FIRST, 1),
        ("SearchComponent", {"input_value": "q", "api_key": "k", "engine": "bing"}, FIRST, 2),
        (
            "WikipediaComponent",
            {"input_value": "q", "doc_content_chars_max": 5},
            {"text": "First", "title": "A", "url": "f"},
            2,
        ),
        (
            "ArXivComponent",
            {"search_query": "q", "search_type": "title"},
            {
                "text": "About it",
                "title": "A paper",
                "url": "https://arxiv.example/1",
                "published": "2024",
                "authors": ["Ann"],
            },
            1,
        ),
        ("DuckDuckGoSearchComponent", {"input_value": "q"}, DUCK, 2),
        ("UnifiedWebSearch", {"query": "q", "max_results": 1}, DUCK, 1),
        ("UnifiedWebSearch", {"query": "q", "search_mode": "News"}, NEWS, 1),
        ("NewsSearch", {"query": "q", "topic": "sports"}, NEWS, 1),
    ],
)
def test_what_is_found_is_given_as_rows(server, kind, values, first, count):
    rows = search(kind, **values)
    assert rows[0] == first
    assert len(rows) == count


def test_keys_go_where_each_service_wants_them(server):
    search("TavilySearchComponent", query="q", api_key="k1", include_domains="a.example, b.example", topic="news")
    search("GoogleSerperAPICore", input_value="q", serper_api_key="k2", k=3)
    search("Serp", input_value="q", serpapi_api_key="k3", search_params={"hl": "de"})
    search("SearchComponent", input_value="q", api_key="k4", engine="bing")
    tavily, serper, serp, searchapi = server.asked
    assert tavily.headers["Authorization"] == "Bearer k1"
    assert tavily.body["include_domains"] == ["a.example", "b.example"]
    assert tavily.body["days"] == 7
    assert (serper.headers["X-API-KEY"], serper.body) == ("k2", {"q": "q", "num": 3})
    assert serp.query == {"engine": "google", "hl": "de", "q": "q", "api_key": "k3"}
    assert (searchapi.headers["Authorization"], searchapi.query) == ("Bearer k4", {"engine": "bing", "q": "q"})


@pytest.mark.parametrize("kind", sorted(BY_NAME))
def test_a_question_is_wanted_and_a_key_where_there_is_one(server, kind):
    component = BY_NAME[kind]
    with pytest.raises(ValueError, match="search query is empty"):
        search(kind)
    if component.key:
        with pytest.raises(ValueError, match=f"{component.key} is not set"):
            search(kind, **{component.question: "q"})
    assert server.asked == []


@pytest.mark.parametrize("kind", sorted(set(BY_NAME) - {"RSSReaderSimple"}))
@pytest.mark.parametrize(
    ("status", "answer"), [(500, "broken"), (429, "too many"), (200, "nonsense"), (200, ""), (200, "[1]")]
)
def test_an_answer_that_is_none_is_said_or_is_nothing_found(server, kind, status, answer):
    component = BY_NAME[kind]
    server.status, server.answer = status, answer
    values = {component.question: "q", **({component.key: "hidden-key"} if component.key else {})}
    try:
        rows = search(kind, **values)
    except ValueError as error:
        assert "hidden-key" not in str(error)
        assert re.search("127.0.0.1 (answers with|did not answer)", str(error))
    else:
        assert status == 200
        assert rows == []


def test_wikipedia_is_asked_in_a_language_and_nothing_else(monkeypatch):
    for lang in ("evil.example/", "en.wikipedia.org@evil", "..", "de#", "a" * 50):
        with pytest.raises(ValueError, match="is not a language"):
            search("WikipediaComponent", input_value="q", lang=lang)


def test_a_feed_is_at_an_address_of_its_author(server):
    def about(word):
        settings = SimpleNamespace(allow_private_addresses=())
        return make_context(settings=settings, given=lambda name: Given(word, word, None, word))

    assert search("RSSReaderSimple", about(Word.OPERATOR), query=f"{server.url}/feed.xml") == [NEWS]
    for word in (Word.AUTHOR, Word.REQUEST):
        with pytest.raises(AddressRefused):
            search("UnifiedWebSearch", about(word), query=f"{server.url}/feed.xml", search_mode="RSS")


def test_entities_of_a_feed_are_not_expanded(server, tmp_path):
    (tmp_path / "secret").write_text("hidden")
    server.answer = (
        f'<!DOCTYPE r [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]><rss><channel><item><title>&x;</title>'
        "</item></channel></rss>"
    )
    assert "hidden" not in str(search("NewsSearch", query="q"))
