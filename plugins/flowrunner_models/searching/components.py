"""Search components for agents and flows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from flowrunner import Component, Input, Message, Output, RunContext, destination, text_of

from . import services

_OUTPUTS = (
    Output("dataframe", "Table", aliases=("results", "articles", "data", "api_run_model", "search_results")),
    Output("text"),
)


class _Search(Component):
    """Search."""

    type_name: ClassVar[str] = ""
    blocking = True
    asks_destination = True
    outputs = _OUTPUTS
    #: The input with the question, and the one with the key where one is wanted.
    question: ClassVar[str] = "input_value"
    key: ClassVar[str] = ""

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return what was found, as rows and as text.

        :raises ValueError: without a question or a key, and for what the service says.
        """
        asked = text_of(values[self.question]).strip()
        if not asked:
            raise ValueError("the search query is empty")
        if self.key and not values[self.key]:
            raise ValueError(f"{self.key} is not set")
        rows = self.find(context, asked, values)
        if not context.wanted & {"text"}:
            return {"dataframe": rows}
        text = "\n\n".join(text_of(row) for row in rows)
        return {"dataframe": rows, "text": Message(text=text, flow_id=context.flow_id)}

    def find(self, context: RunContext, asked: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Ask the service."""
        raise NotImplementedError


def _question(name: str) -> Input:
    return Input(name, "str", tool=True, info="the search query")


class WebSearch(_Search):
    """Search the web, the news, or read a feed, without a key."""

    type_name = "UnifiedWebSearch"
    aliases: ClassVar[tuple[str, ...]] = ("WebSearchNoAPI", "UnifiedWebSearchComponent", "WebSearch")
    display_name = "Web Search"
    question = "query"
    mode: ClassVar[str] = "Web"
    inputs = (
        Input("query", "str", tool=True, aliases=("rss_url",), info="the search query, or the address of a feed"),
        Input("search_mode", "str", options=("Web", "News", "RSS")),
        *(Input(name, "str") for name in ("hl", "gl", "ceid", "topic", "location")),
        Input("timeout", "int", default=5),
        Input("max_results", "int", default=10),
        Input("max_content_length", "int", default=2000),
    )

    def find(self, context: RunContext, asked: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Ask DuckDuckGo or Google News, or read the feed at an address."""
        mode, count = values["search_mode"] or self.mode, _count(values["max_results"])
        if mode == "RSS":
            url = asked if "://" in asked else f"https://{asked}"
            return services.feed_rows(services.fetched(context, destination(context, url, "query")))[:count]
        if mode == "News":
            return services.ask_news(context, asked, count, {k: text_of(v) for k, v in values.items()})
        return services.ask_duckduckgo(context, asked, count, max(1, values["max_content_length"]))


class NewsSearch(WebSearch):
    """Search Google News."""

    type_name = "NewsSearch"
    aliases = ("NewsSearchComponent",)
    display_name = "News Search"
    mode = "News"


class RssReader(WebSearch):
    """Read an RSS feed."""

    type_name = "RSSReaderSimple"
    aliases = ("RSSReaderComponent", "RSSReader")
    display_name = "RSS Reader"
    mode = "RSS"


class DuckDuckGo(_Search):
    """Search the web with DuckDuckGo."""

    type_name = "DuckDuckGoSearchComponent"
    aliases = ("DuckDuckGoSearch",)
    display_name = "DuckDuckGo Search"
    inputs = (
        _question("input_value"),
        Input("max_results", "int", default=5),
        Input("max_snippet_length", "int", default=100),
    )

    def find(self, context: RunContext, asked: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Ask DuckDuckGo."""
        return services.ask_duckduckgo(
            context, asked, _count(values["max_results"]), max(1, values["max_snippet_length"])
        )


class Tavily(_Search):
    """Search the web with Tavily."""

    type_name = "TavilySearchComponent"
    aliases = ("TavilyAISearch",)
    display_name = "Tavily Search"
    question, key = "query", "api_key"
    inputs = (
        Input("api_key", "secret"),
        _question("query"),
        Input("search_depth", "str", default="advanced"),
        Input("chunks_per_source", "int", default=3),
        Input("topic", "str", default="general"),
        Input("days", "int", default=7),
        Input("max_results", "int", default=5),
        Input("include_answer", "bool", default=True),
        Input("time_range", "str"),
        Input("include_images", "bool", default=False),
        Input("include_domains", "str", info="domains, separated by commas"),
        Input("exclude_domains", "str", info="domains, separated by commas"),
        Input("include_raw_content", "bool", default=False),
    )

    def find(self, context: RunContext, asked: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Ask Tavily."""
        plain = ("search_depth", "topic", "include_answer", "include_images", "include_raw_content")
        question: dict[str, Any] = {"query": asked, "max_results": _count(values["max_results"])}
        question |= {name: values[name] for name in plain}
        if values["time_range"]:
            question["time_range"] = values["time_range"]
        if values["topic"] == "news":
            question["days"] = values["days"]
        if values["search_depth"] == "advanced":
            question["chunks_per_source"] = values["chunks_per_source"]
        for name in ("include_domains", "exclude_domains"):
            words = [word.strip() for word in text_of(values[name]).split(",") if word.strip()]
            question |= {name: words} if words else {}
        return services.ask_tavily(context, values["api_key"], question)


class Serper(_Search):
    """Search Google with Serper."""

    type_name = "GoogleSerperAPICore"
    aliases = ("GoogleSerperAPI",)
    display_name = "Google Serper API"
    key = "serper_api_key"
    inputs = (
        Input("serper_api_key", "secret"),
        Input("input_value", "str", tool=True, aliases=("query",), info="the search query"),
        Input("k", "int", default=4, aliases=("max_results",)),
    )

    def find(self, context: RunContext, asked: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Ask Serper."""
        return services.ask_serper(context, values["serper_api_key"], asked, _count(values["k"]))


class SerpApi(_Search):
    """Search Google with SerpApi."""

    type_name = "Serp"
    aliases = ("SerpAPI", "SerpComponent")
    display_name = "SerpApi"
    key = "serpapi_api_key"
    inputs = (
        Input("serpapi_api_key", "secret"),
        _question("input_value"),
        Input("search_params", "dict", default={}),
        Input("max_results", "int", default=5),
        Input("max_snippet_length", "int", default=100),
    )

    def find(self, context: RunContext, asked: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Ask SerpApi."""
        count, more = _count(values["max_results"]), values["search_params"] or {}
        return services.ask_serpapi(context, values["serpapi_api_key"], asked, count, more)


class SearchApi(_Search):
    """Search with SearchApi."""

    type_name = "SearchComponent"
    aliases = ("SearchAPI",)
    display_name = "SearchApi"
    key = "api_key"
    inputs = (
        Input("engine", "str", default="google"),
        Input("api_key", "secret"),
        _question("input_value"),
        Input("search_params", "dict", default={}),
        Input("max_results", "int", default=5),
        Input("max_snippet_length", "int", default=100),
    )

    def find(self, context: RunContext, asked: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Ask SearchApi."""
        count, more = _count(values["max_results"]), values["search_params"] or {}
        return services.ask_searchapi(context, values["api_key"], asked, count, values["engine"], more)


class Wikipedia(_Search):
    """Search Wikipedia."""

    type_name = "WikipediaComponent"
    aliases = ("WikipediaAPI",)
    display_name = "Wikipedia"
    inputs = (
        _question("input_value"),
        Input("lang", "str", default="en"),
        Input("k", "int", default=4),
        Input("load_all_available_meta", "bool", default=False),
        Input("doc_content_chars_max", "int", default=4000),
    )

    def find(self, context: RunContext, asked: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Ask Wikipedia."""
        longest = max(1, values["doc_content_chars_max"])
        return services.ask_wikipedia(context, asked, _count(values["k"]), text_of(values["lang"]), longest)


class Arxiv(_Search):
    """Search papers on arXiv."""

    type_name = "ArXivComponent"
    aliases = ("ArXiv",)
    display_name = "arXiv"
    question = "search_query"
    inputs = (
        _question("search_query"),
        Input("search_type", "str", default="all", options=("all", "title", "abstract", "author", "category")),
        Input("max_results", "int", default=10),
    )

    def find(self, context: RunContext, asked: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Ask arXiv."""
        return services.ask_arxiv(context, asked, _count(values["max_results"]), values["search_type"])


SEARCHES: Sequence[type[Component]] = (
    Arxiv,
    DuckDuckGo,
    NewsSearch,
    RssReader,
    SearchApi,
    SerpApi,
    Serper,
    Tavily,
    WebSearch,
    Wikipedia,
)


def _count(value: Any) -> int:
    return min(100, max(1, int(value or 1)))
