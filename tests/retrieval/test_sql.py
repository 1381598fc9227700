"""What an SQL query of a flow may reach, what it gives, and what keeps it within bounds."""

from __future__ import annotations

import dataclasses
import sqlite3
import sys
import threading
from contextlib import closing
from types import SimpleNamespace

import pytest
from flowrunner_retrieval.databases.cells import size_of
from flowrunner_retrieval.databases.component import SqlDatabase, may_write
from flowrunner_retrieval.databases.database_access import Database, DatabaseRefused, find_database, read_url
from flowrunner_retrieval.databases.execution import QueryFailed, connect_arguments
from flowrunner_retrieval.databases.statements import QueryRefused, check_reading, clean_query, first_word

from flowrunner import AddressRefused, BadRequest, CancelToken, FlowRunnerError, Given, RunCancelled, Word
from tests.components.context import make_context, run

ROWS = [{"name": "Ann", "age": 30}, {"name": "Bob", "age": 4}]


def no_upload(name):
    raise BadRequest("no")


def context(word=Word.OPERATOR, *, secret=None, settings=None, cancelled=None, **words):
    """Return a context in which a word decided on every input, but for those named."""
    given = {"document_folders": (), "data_dir": None, "allow_private_addresses": (), **(settings or {})}

    def said(name):
        decided = words.get(name, word)
        return Given(decided, secret or decided, None, decided)

    return make_context(
        settings=SimpleNamespace(**given),
        given=said,
        stored_file=no_upload,
        cancelled=CancelToken() if cancelled is None else cancelled,
    )


def ask(query, url, about=None, **values):
    return run(SqlDatabase(), about or context(), query=query, database_url=url, **values)["run_sql_query"]


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE people (name TEXT, age INT); INSERT INTO people VALUES ('Ann', 30), ('Bob', 4);"
    )
    connection.close()
    return f"sqlite:///{path}"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM people",
        "select * from people;",
        "-- all\n/* of them */ SELECT * FROM people",
        "WITH p AS (SELECT * FROM people) SELECT * FROM p",
        "```sql\nSELECT * FROM people;\n```",
    ],
)
def test_a_query_gives_rows(shop, query):
    assert ask(query, shop) == ROWS


def test_without_names_of_columns_a_row_has_numbers(shop):
    assert ask("SELECT * FROM people", shop, include_columns=False)[0] == {"0": "Ann", "1": 30}


def test_columns_of_one_name_are_all_given(shop):
    assert ask("SELECT 1 AS a, 2 AS a, 3 AS b", shop) == [{"a": 1, "a_2": 2, "b": 3}]


def test_values_of_every_kind_become_json(shop):
    assert ask("SELECT NULL AS n, 1.5 AS f, x'c3a9' AS t, x'ff00' AS b, 9e999 AS i", shop) == [
        {"n": None, "f": 1.5, "t": "é", "b": "/wA=", "i": "inf"}
    ]


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM people",
        "UPDATE people SET age = 1",
        "DROP TABLE people",
        "INSERT INTO people VALUES ('x', 1)",
        "CREATE TABLE t (a)",
        "VACUUM",
        "REPLACE INTO people VALUES ('x', 1)",
        "/* SELECT */ DELETE FROM people",
        "-- SELECT\nDELETE FROM people",
        "ATTACH DATABASE '/etc/passwd' AS x",
        "",
        "   ;",
        "'SELECT'",
        "WITH p AS (SELECT 1) DELETE FROM people",
        "SELECT 1; DELETE FROM people",
        "PRAGMA user_version = 7",
        "PRAGMA query_only = OFF",
        "EXPLAIN DELETE FROM people; DELETE FROM people",
        "SELECT load_extension('x')",
        "VACUUM INTO '/tmp/never.db'",
    ],
)
def test_nothing_is_changed_unless_the_author_says_so(shop, query):
    with pytest.raises((QueryRefused, QueryFailed)):
        ask(query, shop)
    assert ask("SELECT * FROM people", shop) == ROWS
    assert ask("PRAGMA user_version", shop) == [{"user_version": 0}]


def test_the_author_may_let_it_be_changed_and_a_request_may_not(shop):
    with pytest.raises(QueryRefused, match="read_only"):
        ask("DELETE FROM people", shop, context(read_only=Word.REQUEST), read_only=False)
    assert ask("DELETE FROM people WHERE age < 5", shop, context(Word.OPERATOR), read_only=False) == [
        {"rows_changed": 1}
    ]
    assert ask("SELECT name FROM people", shop) == [{"name": "Ann"}]
    allowed = context(settings={"sql_writes": True})
    assert ask("DELETE FROM people", shop, allowed) == [{"rows_changed": 1}]
    with pytest.raises(QueryFailed):
        ask("ATTACH DATABASE 'x.db' AS x", shop, allowed)


def test_a_failed_query_is_a_row_where_that_is_wanted(shop):
    with pytest.raises(QueryFailed, match="no such table: missing"):
        ask("SELECT * FROM missing", shop)
    assert ask("SELECT * FROM missing", shop, add_error=True) == [
        {"error": "the database reports: no such table: missing", "query": "SELECT * FROM missing"}
    ]


def test_rows_text_and_time_are_bounded(shop):
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    with pytest.raises(QueryFailed, match="more than 100 rows .*FLOWRUNNER_SQL_ROWS"):
        ask(many, shop, context(settings={"sql_rows": 100}))
    assert len(ask(f"{many} LIMIT 100", shop, context(settings={"sql_rows": 100}))) == 100
    with pytest.raises(ValueError, match="FLOWRUNNER_MAX_TEXT"):
        ask("SELECT printf('%.2000c', 'x')", shop, context(settings={"max_text": 1000}))
    with pytest.raises(QueryFailed, match="longer than 0.2 seconds"):
        ask(f"SELECT count(*) FROM ({many})", shop, context(settings={"sql_seconds": 0.2}))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 cannot set it")
@pytest.mark.parametrize(
    "value",
    [
        "length(hex(zeroblob(150000000)))",
        "length(randomblob(100000000))",
        "length(replace(hex(zeroblob(900000)), '0', 'aaaaaaaaaaaaaaaaaaaa'))",
        "length(zeroblob(17000000) || 'x')",
    ],
)
def test_one_value_on_the_way_is_bounded(shop, value):
    for url in (shop, "sqlite://"):
        with pytest.raises(QueryFailed, match="too big"):
            ask(f"SELECT {value}", url)


MANY = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c WHERE x < 60) SELECT randomblob(100000) FROM c"


@pytest.mark.parametrize(
    "statement",
    [f"INSERT INTO people (name) {MANY}", f"CREATE TABLE m AS {MANY}", f"CREATE TEMP TABLE m AS {MANY}"],
    ids=["insert", "table", "temporary"],
)
@pytest.mark.parametrize("place", ["upload", "memory", "operator"])
def test_what_a_statement_writes_is_bounded(tmp_path, shop, place, statement):
    about = context(settings={"max_file_size": 1_000_000, "data_dir": str(tmp_path)})
    path = tmp_path / "shop.db"
    if place == "upload":
        (tmp_path / "files").mkdir()
        path = path.rename(tmp_path / "files" / "shop.db")
        about = dataclasses.replace(about, stored_file=lambda name: path)
    elif place == "operator":
        about = context(settings={"max_file_size": 1_000_000})
    elif "people" in statement:
        statement = f"CREATE TABLE people AS {MANY}"
    with pytest.raises(QueryFailed, match="full"):
        ask(statement, "sqlite://" if place == "memory" else f"sqlite:///{path}", about, read_only=False)
    if place != "memory":
        assert path.stat().st_size < 1_100_000
        less = statement.replace("x < 60", "x < 5")
        assert ask(less, f"sqlite:///{path}", about, read_only=False) in ([], [{"rows_changed": 5}])


def test_a_file_that_is_large_already_is_asked_and_grows_no_further(tmp_path, shop):
    (tmp_path / "files").mkdir()
    path = (tmp_path / "shop.db").rename(tmp_path / "files" / "shop.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE m AS {MANY}")
        connection.commit()
    about = context(settings={"max_file_size": 1_000_000, "data_dir": str(tmp_path)})
    about = dataclasses.replace(about, stored_file=lambda name: path)
    assert ask("SELECT * FROM people", f"sqlite:///{path}", about) == ROWS
    with pytest.raises(QueryFailed, match="full"):
        ask(f"INSERT INTO m {MANY}", f"sqlite:///{path}", about, read_only=False)


def test_what_a_cell_holds_is_counted():
    assert size_of(["x" * 1000, {"key": ["y" * 1000]}]) >= 2003
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert size_of(deep) >= 100_000


def test_a_cancelled_run_ends_its_query(shop):
    token = CancelToken()
    threading.Timer(0.2, token.cancel).start()
    with pytest.raises(RunCancelled):
        ask(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
            shop,
            context(cancelled=token),
        )


@pytest.mark.parametrize("word", [Word.AUTHOR, Word.REQUEST])
def test_a_file_is_an_upload_or_in_an_allowed_folder(shop, tmp_path, word):
    with pytest.raises(DatabaseRefused, match="neither among your uploads nor in a folder"):
        ask("SELECT 1", shop, context(word))
    allowed = {"document_folders": (str(tmp_path),)}
    assert ask("SELECT * FROM people", "sqlite:///shop.db", context(word, settings=allowed)) == ROWS
    for outside in ("sqlite:///../other.db", "sqlite:////etc/passwd", "sqlite:///file:shop.db?mode=rw&uri=true"):
        with pytest.raises(DatabaseRefused):
            ask("SELECT 1", outside, context(word, settings=allowed))


def test_an_upload_of_the_owner_is_asked(house, shop, tmp_path):
    data = (tmp_path / "shop.db").read_bytes()
    house.upload("shop.db", data, owner="ann")
    about = {"database_url": "sqlite:////home/somebody/data/shop.db", "query": "SELECT name FROM people"}
    assert house.outputs("SQLComponent", about, output="run_sql_query", owner="ann") == [
        {"name": "Ann"},
        {"name": "Bob"},
    ]
    with pytest.raises(FlowRunnerError, match="there is no SQLite file shop.db, neither"):
        house.outputs("SQLComponent", about, output="run_sql_query", owner="bob")


@pytest.mark.parametrize("settings", [{}, {"sql_writes": True}], ids=["author", "operator"])
@pytest.mark.parametrize("word", [Word.AUTHOR, Word.REQUEST])
def test_a_file_of_an_allowed_folder_is_only_read(shop, tmp_path, word, settings):
    allowed = context(word, settings={"document_folders": (str(tmp_path),), **settings}, read_only=Word.AUTHOR)
    for query in ("DELETE FROM people", "WITH p AS (SELECT 1) DELETE FROM people"):
        with pytest.raises((QueryRefused, QueryFailed), match="FOLDERS|readonly"):
            ask(query, "sqlite:///shop.db", allowed, read_only=False)
    # The operator's own word goes further.
    own = context(settings={"document_folders": (str(tmp_path),), **settings})
    assert ask("DELETE FROM people WHERE age = 4", "sqlite:///shop.db", own, read_only=False) == [{"rows_changed": 1}]


@pytest.mark.parametrize("settings", [{}, {"sql_writes": True}], ids=["author", "operator"])
def test_an_upload_is_written_where_the_flow_names_it(tmp_path, shop, settings):
    folder = tmp_path / "files"
    folder.mkdir()
    (tmp_path / "shop.db").rename(folder / "shop.db")

    def about(word):
        found = context(word, settings={"data_dir": str(tmp_path), **settings}, read_only=Word.AUTHOR)
        return dataclasses.replace(found, stored_file=lambda name: folder / name)

    with pytest.raises(QueryRefused):
        ask("DELETE FROM people", "sqlite:///shop.db", about(Word.REQUEST), read_only=False)
    assert ask("DELETE FROM people", "sqlite:///shop.db", about(Word.AUTHOR), read_only=False) == [{"rows_changed": 2}]


def test_a_server_that_a_request_names_is_not_written_by_the_authors_word():
    database = Database(read_url("postgresql://u@db.example/shop"), address="192.0.2.7")
    for words in ({"database_url": Word.REQUEST}, {"read_only": Word.REQUEST}):
        assert not may_write(context(Word.AUTHOR, **words), {"read_only": False}, database)
    assert may_write(context(Word.AUTHOR), {"read_only": False}, database)


def test_the_apps_own_database_is_never_asked(house, tmp_path):
    folder = house.runner.settings.data_dir
    for url in (f"sqlite:///{folder / 'flowrunner.db'}", f"sqlite:///{folder}/../{folder.name}/flowrunner.db"):
        with pytest.raises(FlowRunnerError, match="own database"):
            house.outputs("SQLComponent", {"database_url": url, "query": "SELECT 1"}, output="run_sql_query")
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(folder / "flowrunner.db")) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    (tmp_path / "link.db").hardlink_to(folder / "flowrunner.db")
    for path in (copy, tmp_path / "link.db"):
        with pytest.raises(FlowRunnerError, match="own database"):
            house.outputs(
                "SQLComponent", {"database_url": f"sqlite:///{path}", "query": "SELECT 1"}, output="run_sql_query"
            )


def test_a_request_cannot_lead_a_flow_elsewhere(house, shop):
    vertices = [
        ("it", "SQLComponent", {"database_url": shop, "query": "SELECT name FROM people"}),
        ("out", "ChatOutput"),
    ]
    edges = ["it.run_sql_query -> out.input_value"]
    assert "Ann" in house.run(vertices, edges).text
    for tweak in (
        {"database_url": "postgresql://127.0.0.1/x"},
        {"database_url": "sqlite:////etc/passwd"},
        {"query": "DELETE FROM people", "read_only": False},
    ):
        with pytest.raises(FlowRunnerError):
            house.run(vertices, edges, tweaks={"it": tweak})
    assert "Ann" in house.run(vertices, edges).text


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:pw@127.0.0.1/db",
        "mysql://user:pw@localhost:3306/db",
        "postgres://[::1]/db",
        "postgresql://u:p/x@127.0.0.1/db",
        "mariadb://10.0.0.1/db",
        "postgresql:///db",
    ],
)
@pytest.mark.parametrize("word", [Word.AUTHOR, Word.REQUEST])
def test_private_addresses_are_the_operators_alone(url, word):
    with pytest.raises((AddressRefused, DatabaseRefused)):
        find_database(context(word), url)
    assert find_database(context(Word.OPERATOR), url).address is None


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://h/db?host=/var/run/postgresql",
        "postgresql://h/db?service=x",
        "postgresql://h/db?sslkey=/etc/x",
        "mysql://h/db?unix_socket=/x",
        "mysql://h/db?read_default_file=/x",
        "mysql://h/db?local_infile=1",
        "postgresql://h/db?hostaddr=10.0.0.1",
        "postgresql://h/db?plugin=x",
        "mssql+pyodbc://h/db",
        "duckdb:///x.db",
        "access+pyodbc:///?odbc_connect=x",
    ],
)
def test_what_reads_files_or_goes_elsewhere_is_the_operators_alone(url):
    with pytest.raises(DatabaseRefused, match="allowed in flows from the operator's folder"):
        find_database(context(Word.AUTHOR), url)


def test_a_password_of_the_operator_goes_to_no_address_of_others():
    held = context(Word.AUTHOR, secret=Word.OPERATOR, settings={"allow_private_addresses": ("all",)})
    with pytest.raises(AddressRefused, match="database_url"):
        find_database(held, "postgresql://user:pw@127.0.0.1/db")
    own = context(Word.AUTHOR, settings={"allow_private_addresses": ("all",)})
    assert find_database(own, "postgresql://user:pw@127.0.0.1/db").address == "127.0.0.1"


def test_the_connection_goes_to_the_address_that_was_checked():
    url = read_url("postgresql://user:pw@db.example/shop")
    _, named = connect_arguments(Database(url, address="192.0.2.7"))
    assert (named["host"], named["hostaddr"]) == ("db.example", "192.0.2.7")
    pytest.importorskip("pymysql")
    _, named = connect_arguments(
        Database(read_url("mysql+mysqlconnector://user:pw@db.example/shop"), address="192.0.2.7")
    )
    assert named["host"] == "192.0.2.7"


@pytest.mark.parametrize("url", ["", "  ", "shop", "://", "postgresql://h:port/db", "sqlite", "\0"])
def test_no_address_is_said_without_what_it_holds(url):
    with pytest.raises(DatabaseRefused, match="database_url|no database") as caught:
        read_url(url)
    assert "port" not in str(caught.value)


def test_a_driver_that_is_not_there_is_named():
    with pytest.raises(DatabaseRefused, match="oracle is not installed: install the driver"):
        ask("SELECT 1", "oracle://user@host/x")
    with pytest.raises(DatabaseRefused, match="has no dialect nonsense"):
        ask("SELECT 1", "nonsense://user@host/x")


def test_a_missing_driver_of_ours_names_the_extra(monkeypatch):
    import sys

    for name, extra in (("psycopg", "postgres"), ("pymysql", "mysql")):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(DatabaseRefused, match=rf"flask-flowrunner\[{extra}\]"):
            ask("SELECT 1", f"{'postgresql' if extra == 'postgres' else extra}://u@127.0.0.1:1/x")


def test_a_server_that_does_not_answer_is_said_without_the_password():
    with pytest.raises(QueryFailed, match="127.0.0.1 cannot be reached") as caught:
        ask("SELECT 1", "postgresql://user:hidden-word@127.0.0.1:1/x")
    assert "hidden-word" not in str(caught.value)


def test_a_server_that_does_not_answer_mysql():
    pytest.importorskip("pymysql")
    with pytest.raises(QueryFailed, match="127.0.0.1 cannot be reached") as caught:
        ask("SELECT 1", "mysql://user:hidden-word@127.0.0.1:1/x")
    assert "hidden-word" not in str(caught.value)


def test_an_agent_asks_a_database(house, model, shop):
    from flowrunner.testing.model_script import call, say

    model.script(call(("SQL_Database", {"query": "SELECT name FROM people WHERE age > 10"})), say("It is Ann."))
    vertices = [
        ("in", "ChatInput"),
        ("db", "SQLComponent", {"database_url": shop}),
        ("agent", "Agent"),
        ("out", "ChatOutput"),
    ]
    edges = [
        "in.message -> agent.input_value",
        "db.component_as_tool -> agent.tools",
        "agent.response -> out.input_value",
    ]
    assert house.run(vertices, edges).text == "It is Ann."
    told = [m for m in model.asked[-1]["messages"] if m["role"] == "tool"]
    assert "Ann" in told[0]["content"]
    assert "Bob" not in told[0]["content"]


@pytest.mark.parametrize("between", [" ", "/**/", "\n", "-- x\n", "#\n", "/* a */ /* b */"])
@pytest.mark.parametrize("word", ["OUTFILE", "dumpfile"])
@pytest.mark.parametrize("kind", ["mysql", "mariadb"])
def test_no_file_of_a_server_is_written(kind, word, between):
    with pytest.raises(QueryRefused, match="writes a file"):
        check_reading(f"SELECT 1 INTO{between}{word} '/tmp/x'", kind)
    check_reading(f"SELECT no_{word} FROM t", kind)


def test_words():
    assert [first_word(q) for q in ("SELECT 1", " /* a */ with x", "--x\n--y\nDROP t", "((select 1))", "1", "")] == [
        "select",
        "with",
        "drop",
        "select",
        "",
        "",
    ]
    with pytest.raises(QueryRefused, match="executable comment"):
        first_word("/*! DELETE */ SELECT 1")
    assert clean_query("Sure:\n```SQL\nSELECT 1;\n```\nThere.") == "SELECT 1"
    assert first_word("/* " * 20_000) == ""
