"""SQL Database: query a database named by the flow's author."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from flowrunner import Component, Input, Output, RunContext, Word, text_of

from .statements import QueryRefused

if TYPE_CHECKING:
    from .database_access import Database
    from .execution import Answer, Bounds

INPUTS: Final = (
    # What is stored as a credential may go in: the address is shown nowhere, and is judged before it is used.
    Input(
        "database_url",
        "secret",
        address=False,
        aliases=("database", "uri", "database_uri"),
        info="an address such as postgresql://user:password@host/name or sqlite:///shop.db",
    ),
    Input("query", "str", required=True, tool=True, aliases=("input_value",), info="one SQL statement"),
    Input("include_columns", "bool", default=True, info="return rows with column names"),
    Input("add_error", "bool", default=False, info="return the error of a failed query as a row"),
    Input("read_only", "bool", default=True, info="false lets a query change the database; cannot be set by a request"),
)


class SqlDatabase(Component):
    """Send an SQL query to a database and return the rows."""

    type_name = "SQLComponent"
    aliases = ("SQLDatabaseComponent", "SQLExecutor", "SQLExecutorComponent")
    display_name = "SQL Database"
    blocking = True
    asks_destination = True
    inputs = INPUTS
    outputs = (
        Output("run_sql_query", "Table", aliases=("sql_query_results", "dataframe", "result", "results", "data")),
    )

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return the rows; of a statement that changes some, how many.

        :raises ValueError: for a database that may not be reached, a query that is refused or fails, and an
            answer over the bounds.
        """
        # SQLAlchemy takes long to import, and few flows ask databases.
        from .database_access import find_database
        from .execution import QueryFailed, ask

        database = find_database(context, text_of(values["database_url"]))
        query = text_of(values["query"])
        refuse_tweak(context, database)
        try:
            answer = ask(
                database,
                query,
                write=may_write(context, values, database),
                bounds=bounds_of(context),
                cancelled=context.cancelled,
            )
        except (QueryFailed, QueryRefused) as error:
            if not values["add_error"]:
                raise
            return {"run_sql_query": [{"error": str(error), "query": query}]}
        return {"run_sql_query": rows_of(answer, named=values["include_columns"])}


def refuse_tweak(context: RunContext, database: Database) -> None:
    """Refuse a request's query in place of the author's: it would read all that the author's password may read.

    Where the author left the query to requests, or the request brings a server of its own, it may say what to ask.

    :raises QueryRefused: saying what to do.
    """
    query = context.given("query")
    if query.tweaked and text_of(query.own).strip() and not database.of_request:
        raise QueryRefused(
            "the query is set by the flow's author and a request cannot replace it: to let requests set it, leave"
            " query blank in the flow, or connect it"
        )


def may_write(context: RunContext, values: Mapping[str, Any], database: Database) -> bool:
    """Return whether a query may change the database: if the flow's author says so, or the operator of all flows.

    Files that are there to be read are never changed, and by an author's word none that a request chose.
    """
    if not database.writable:
        return False
    if getattr(context.settings, "sql_writes", False):
        return True
    return values["read_only"] is False and all(
        context.given(name).word is not Word.REQUEST for name in ("read_only", "database_url")
    )


def bounds_of(context: RunContext) -> Bounds:
    """Return the bounds that the operator has set."""
    from .execution import Bounds

    rows = getattr(context.settings, "sql_rows", 10_000)
    seconds = getattr(context.settings, "sql_seconds", 30.0)
    return Bounds(rows, seconds, context.text_budget(), getattr(context.settings, "max_file_size", 32 * 1024 * 1024))


def rows_of(answer: Answer, *, named: bool = True) -> list[dict[str, Any]]:
    """Return rows as objects; without names of columns, these are their numbers."""
    if not answer.columns:
        return [] if answer.changed < 0 else [{"rows_changed": answer.changed}]
    names = answer.columns if named else tuple(str(number) for number in range(len(answer.columns)))
    return [dict(zip(names, row, strict=True)) for row in answer.rows]
