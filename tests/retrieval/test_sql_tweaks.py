"""Whose word an SQL query is: an author's, which requests do not replace, or one that is left to requests."""

from __future__ import annotations

import sqlite3

import pytest
from flowrunner_retrieval.databases.component import SqlDatabase
from flowrunner_retrieval.databases.statements import QueryRefused

from flowrunner import FlowRunnerError, Given, Word
from flowrunner.testing.model_script import call, say
from tests.components.context import run
from tests.retrieval.test_sql import context

OWN = "SELECT name FROM products"
OTHER = "SELECT password AS name FROM users"
EDGES = ["it.run_sql_query -> out.input_value"]


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE products (name); INSERT INTO products VALUES ('tea');"
        "CREATE TABLE users (password); INSERT INTO users VALUES ('hidden-word');"
    )
    connection.close()
    return f"sqlite:///{path}"


def flow(shop, **values):
    return [("it", "SQLComponent", {"database_url": shop, **values}), ("out", "ChatOutput")]


@pytest.mark.parametrize(
    "tweaks",
    [
        {"it": {"query": OTHER}},
        {"it": {"input_value": OTHER}},
        {"query": OTHER},
        {"it": {"query": {"value": OTHER}}},
        {"SQL Database": {"query": OTHER}},
        {"it": {"query": OTHER, "add_error": True}},
        {"it": {"query": OWN + " "}},
    ],
    ids=["field", "alias", "all", "value", "display name", "add_error", "nearly the same"],
)
def test_a_tweak_does_not_replace_the_authors_query(house, shop, tweaks):
    assert "tea" in house.run(flow(shop, query=OWN), EDGES).text
    with pytest.raises(FlowRunnerError, match="a request cannot replace it: to let requests set it, leave query blank"):
        house.run(flow(shop, query=OWN), EDGES, tweaks=tweaks)


def test_naming_the_same_database_otherwise_does_not_help(house, tmp_path, shop):
    house.upload("shop.db", (tmp_path / "shop.db").read_bytes())
    vertices = flow("sqlite:///x/shop.db", query=OWN)
    assert "tea" in house.run(vertices, EDGES).text
    for url in ("sqlite:///shop.db", "sqlite:///./shop.db", "sqlite://"):
        with pytest.raises(FlowRunnerError, match="a request cannot replace it"):
            house.run(vertices, EDGES, tweaks={"it": {"query": OTHER, "database_url": url}})


@pytest.mark.parametrize("query", ["", "  "], ids=["blank", "spaces"])
def test_a_query_that_is_left_to_requests_is_theirs(house, shop, query):
    assert "hidden-word" in house.run(flow(shop, query=query), EDGES, tweaks={"it": {"query": OTHER}}).text


def test_saying_the_same_query_changes_nothing(house, shop):
    assert "tea" in house.run(flow(shop, query=OWN), EDGES, tweaks={"it": {"query": OWN}}).text


def test_an_edge_brings_the_query(house, shop):
    vertices = [("in", "ChatInput"), *flow(shop, query=OWN)]
    answer = house.run(
        vertices, ["in.message -> it.query", *EDGES], input_value=OTHER, tweaks={"it": {"query": "SELECT 1"}}
    )
    assert "hidden-word" in answer.text


def test_an_agent_says_the_query(house, model, shop):
    model.script(call(("SQL_Database", {"query": OTHER})), say("done"))
    vertices = [
        ("in", "ChatInput"),
        ("it", "SQLComponent", {"database_url": shop, "query": OWN}),
        ("agent", "Agent"),
        ("out", "ChatOutput"),
    ]
    edges = [
        "in.message -> agent.input_value",
        "it.component_as_tool -> agent.tools",
        "agent.response -> out.input_value",
    ]
    assert house.run(vertices, edges).text == "done"
    assert "hidden-word" in [m for m in model.asked[-1]["messages"] if m["role"] == "tool"][0]["content"]


def test_a_request_asks_a_server_of_its_own_what_it_likes():
    def said(name, own="postgresql://u:pw@db.example/shop"):
        own_value = own if name == "database_url" else OWN
        return Given(Word.REQUEST, Word.REQUEST, own_value, Word.AUTHOR, tweaked=True)

    pytest.importorskip("psycopg")
    about = context(settings={"allow_private_addresses": ("127.0.0.1",)})
    object.__setattr__(about, "given", said)
    with pytest.raises(ValueError, match="127.0.0.1 cannot be reached"):
        run(SqlDatabase(), about, query=OTHER, database_url="postgresql://u@127.0.0.1:1/d")
    object.__setattr__(about, "given", lambda name: said(name, "postgresql://u:pw@127.0.0.1:1/d"))
    with pytest.raises(QueryRefused):
        run(SqlDatabase(), about, query=OTHER, database_url="postgresql://u@127.0.0.1:1/d")
