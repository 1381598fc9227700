"""Knowledge: a named collection, filled by one component and searched by another."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from flowrunner_models.fields import KEY_FIELDS

from flowrunner import Input, Output, RunContext, text_of

from .component import EmbeddingUser, vectors_of
from .ingesting import ingest, row_of
from .searching import read_filter, search

_EMBEDDING = Input("embedding_model", "any", accepts=("Embeddings",), aliases=("embedding",))
_BASE = Input("knowledge_base", "str", required=True, info="name of the collection")


class KnowledgeIngestion(EmbeddingUser):
    """Store rows in a knowledge base: a collection of the vector store that the operator chose."""

    type_name = "KnowledgeIngestion"
    aliases = ("KBIngestion", "KnowledgeIngestionComponent")
    display_name = "Knowledge Ingestion"
    inputs = (
        _BASE,
        Input(
            "input_df", "any", many=True, accepts=("Table", "Data", "Message"), aliases=("input_data", "ingest_data")
        ),
        Input(
            "column_config", "list", default=[], info="the columns to embed (vectorize) and those that identify a row"
        ),
        Input("allow_duplicates", "bool", default=False),
        _EMBEDDING,
    )
    outputs = (Output("dataframe_output", "Data", aliases=("data",)),)

    def fills_with(self, settings: Mapping[str, Any], connected: Collection[str]) -> str | None:
        """It fills the knowledge base."""
        return text_of(settings.get("knowledge_base")).strip()

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Store the rows and return how many there are now.

        :raises ValueError: without an embedding model.
        """
        vectors, name = vectors_of(context), _name(values)
        rows = [_by_columns(item, values["column_config"]) for item in values["input_df"] if item not in (None, "")]
        embedder = self.embedder_of(context, values, "embedding_model")
        new = ingest(context, vectors, name, embedder, rows, twice=values["allow_duplicates"])
        count = sum(one.chunks for one in vectors.collections() if one.name == name)
        return {"dataframe_output": {"knowledge_base": name, "new": new, "chunks": count}}


class KnowledgeRetrieval(EmbeddingUser):
    """Search a knowledge base."""

    type_name = "KnowledgeRetrieval"
    aliases = ("KBRetrieval", "KnowledgeRetrievalComponent", "KnowledgeBase")
    display_name = "Knowledge Retrieval"
    inputs = (
        _BASE,
        Input("search_query", "str", tool=True, aliases=("input_value",), info="the search query"),
        Input("top_k", "int", default=5, aliases=("number_of_results",)),
        Input("include_metadata", "bool", default=True),
        Input("search_filter", "any"),
        *(Input(name, "secret") for name in KEY_FIELDS[:1]),
        _EMBEDDING,
    )
    outputs = (Output("retrieve_data", "Table", aliases=("chroma_kb_data", "dataframe", "search_results")),)

    def reads_with(self, settings: Mapping[str, Any], connected: Collection[str]) -> str | None:
        """It searches the knowledge base."""
        return text_of(settings.get("knowledge_base")).strip()

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return the nearest rows with their scores, or without a question the first ones.

        :raises ValueError: without an embedding model.
        """
        vectors, name = vectors_of(context), _name(values)
        count, asked = max(1, values["top_k"]), text_of(values["search_query"]).strip()
        where = read_filter(values["search_filter"])
        if not asked:
            rows = [row_of(chunk) for chunk in vectors.fetch(name, limit=count, where=where)]
        else:
            embedder = self.embedder_of(context, values, "embedding_model")
            hits = search(vectors, name, embedder, asked, count=count, where=where, cancelled=context.cancelled)
            rows = [{**row_of(hit.chunk), "_score": round(hit.score, 6)} for hit in hits]
        if not values["include_metadata"]:
            rows = [{name: one for name, one in row.items() if name in ("text", "_score")} for row in rows]
        return {"retrieve_data": rows}


def _name(values: Mapping[str, Any]) -> str:
    name = text_of(values["knowledge_base"]).strip()
    if not name:
        raise ValueError("knowledge_base is not set")
    return name[:1000]


def _by_columns(item: Any, config: list[Any]) -> Any:
    """Return rows whose text are the columns that are to be embedded, where any are named."""
    chosen = [
        str(row.get("column_name"))
        for row in config
        if isinstance(row, Mapping) and row.get("vectorize") in (True, "True", "true") and row.get("column_name")
    ]
    if isinstance(item, Mapping) and chosen and any(name in item for name in chosen):
        text = "\n".join(text_of(item[name]) for name in chosen if name in item)
        return {**{name: value for name, value in item.items() if name not in chosen}, "text": text}
    return item
