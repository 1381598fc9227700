"""Astra DB Tool: find rows of a collection by value or similarity, for agents."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from flowrunner import Input, Output, RunContext, text_of

from .component import EmbeddingUser, vectors_of
from .ingesting import row_of
from .searching import read_filter, search

_INPUTS: Final = (
    Input("collection_name", "str", required=True),
    Input("embedding", "any", accepts=("Embeddings",)),
    Input("number_of_results", "int", default=5),
    Input("projection_attributes", "str", default="*", info="members of a row to return; * for all"),
    Input("static_filters", "any", info="members and values that rows must have"),
    Input("use_search_query", "bool", default=False),
)
_QUERY: Final = Input("search_query", "str", tool=True, info="text to search for")


class AstraLookup(EmbeddingUser):
    """Look up rows in a collection by their members, or by similarity to a text."""

    type_name = "AstraDBToolComponent"
    aliases = ("AstraDBTool",)
    display_name = "Astra DB Tool"
    answered_by = "VECTOR_STORE"
    inputs = (*_INPUTS, _QUERY)
    outputs = (Output("api_run_model", "Data", aliases=("data", "run_model")),)

    def inputs_for(self, settings: Mapping[str, Any]) -> Sequence[Input]:
        """Return the inputs: those of the filters that the vertex names are the tool's arguments."""
        taken = {one.name for one in (*_INPUTS, _QUERY)}
        own = [one for one in _parameters(settings) if one.name not in taken]
        searches = settings.get("use_search_query") in (True, "true", "True") or not own
        return (*_INPUTS, *((_QUERY,) if searches else ()), *own)

    def reads_with(self, settings: Mapping[str, Any], connected: Collection[str]) -> str | None:
        """It searches its collection."""
        return text_of(settings.get("collection_name")).strip()

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return the rows.

        :raises ValueError: without an embedding model, where rows are to be like a text.
        """
        vectors, name = vectors_of(context), text_of(values["collection_name"]).strip() or f"flow {context.flow_id}"
        known = {one.name for one in (*_INPUTS, _QUERY)}
        where = read_filter(values["static_filters"])
        where |= {field: value for field, value in values.items() if field not in known and value not in ("", None)}
        count, asked = max(1, values["number_of_results"]), text_of(values.get("search_query")).strip()
        if asked:
            embedder = self.embedder_of(context, values)
            hits = search(vectors, name, embedder, asked, count=count, where=where, cancelled=context.cancelled)
            rows = [row_of(hit.chunk) for hit in hits]
        else:
            rows = [row_of(chunk) for chunk in vectors.fetch(name, where=where, limit=count)]
        return {"api_run_model": [_projected(row, values["projection_attributes"]) for row in rows]}


def _parameters(settings: Mapping[str, Any]) -> Iterator[Input]:
    """Yield the filters of a vertex: by name with a description, ``!`` before those that must be given, or rows."""
    given = settings.get("tool_params")
    for one in given if isinstance(given, list) else [given]:
        for name, info in one.items() if isinstance(one, Mapping) else ():
            plain = str(name).lstrip("!")
            if _is_name(plain):
                yield Input(plain, "str", required=str(name).startswith("!"), tool=True, info=text_of(info))
    rows = settings.get("tools_params_v2")
    for row in rows if isinstance(rows, list) else ():
        name = str(row.get("attribute_name") or row.get("name") or "") if isinstance(row, Mapping) else ""
        if _is_name(name):
            must = row.get("mandatory") in (True, "True", "true")
            yield Input(name, "str", required=must, tool=True, info=text_of(row.get("description")))


def _is_name(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z_][\w.-]{0,100}", name) is not None


def _projected(row: Mapping[str, Any], names: str) -> dict[str, Any]:
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted or "*" in wanted:
        return dict(row)
    return {name: row[name] for name in wanted if name in row}
