"""A vector store as a component: store incoming data, search for a query."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from flowrunner_models.connections import Connections

from flowrunner import Component, Hit, Input, Output, OwnerVectors, RunContext, Word, text_of

from ..embeddings.embedder import Embedder
from ..embeddings.factory import make_embedder
from ..extras import RETRIEVAL
from .ingesting import ingest, row_of
from .searching import read_filter, search

INPUTS: Final = (
    Input(
        "embedding",
        "any",
        accepts=("Embeddings",),
        aliases=("embedding_model",),
        info="a connected embedding model",
    ),
    Input(
        "ingest_data",
        "any",
        many=True,
        accepts=("Data", "Table", "Message", "Document"),
        aliases=("inputs", "vector_store_inputs", "documents", "data_inputs"),
        info="texts or rows to store",
    ),
    Input("search_query", "str", tool=True, aliases=("search_input", "query", "input_value"), info="the search query"),
    Input("number_of_results", "int", default=4, aliases=("top_k",)),
    Input("search_type", "str", default="Similarity", info="Similarity, Similarity with score threshold, MMR"),
    Input("search_score_threshold", "float", default=0.0, aliases=("min_similarity_score", "score_threshold")),
    Input(
        "search_filter",
        "any",
        aliases=("advanced_search_filter",),
        info="metadata that results must have",
    ),
    Input("allow_duplicates", "bool", default=False, info="store a text again if the document already has it"),
    Input(
        "pre_delete_collection",
        "bool",
        default=False,
        aliases=("drop_old",),
        info="empty the collection before storing",
    ),
)
OUTPUTS: Final = (
    Output("search_results", "Data", aliases=("stored_doc", "data")),
    Output("dataframe", "Table"),
    Output("vectorstoreconnection", "VectorStore", aliases=("vector_store",)),
    Output("base_retriever", "Retriever", aliases=("retriever",)),
)


@dataclass(frozen=True, slots=True)
class OpenCollection:
    """A collection with its embedding model: what travels over edges of the type ``VectorStore``."""

    vectors: OwnerVectors
    name: str
    embedder: Embedder

    def search(self, text: str, count: int = 4) -> list[Hit]:
        """Return the nearest chunks."""
        return search(self.vectors, self.name, self.embedder, text, count=count)


class EmbeddingUser(Component):
    """A component that embeds texts. What it keeps are idle connections, for any run."""

    blocking = True

    def __init__(self) -> None:
        self.connections = Connections()

    def embedder_of(self, context: RunContext, values: Mapping[str, Any], field: str = "embedding") -> Embedder:
        """Return the embedding model that came over an edge, else the operator's.

        :raises ModelFailed: if there is neither.
        """
        found = values.get(field)
        if isinstance(found, Embedder):
            return found
        chosen = found if isinstance(found, (list, Mapping)) and found else None
        return make_embedder(context, {"model": chosen} if chosen else {}, connections=self.connections)


class StoreComponent(EmbeddingUser):
    """Store texts in the vector store that the operator chose, and search them."""

    type_name = "LocalDB"
    aliases = ("VectorStore", "LocalVectorStore")
    display_name = "Vector Store"
    #: Fields that may name the collection, the most telling first.
    collection_fields: ClassVar[tuple[str, ...]] = ("collection_name", "index_name", "table_name")
    outputs = OUTPUTS
    inputs = (*INPUTS, *(Input(name, "str") for name in collection_fields))

    def packages_for(self, settings: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the packages that it imports when it runs."""
        return {"numpy": RETRIEVAL}

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Store what arrives, search what is asked, and return what was found.

        :raises ValueError: without an embedding model, or for a filter that is not understood.
        :raises VectorStoreFailed: if the store fails.
        """
        vectors = vectors_of(context)
        name = self.collection_of(context, values)
        arrived = [item for item in values["ingest_data"] if item not in (None, "")]
        asked = text_of(values["search_query"]).strip()
        wants_handle = bool(context.wanted & {"vectorstoreconnection", "base_retriever"})
        if not (arrived or asked or wants_handle):
            return _answer(context, [])
        embedder = self.embedder_of(context, values)
        if arrived:
            if values["pre_delete_collection"]:
                by_request = context.given("pre_delete_collection").word is Word.REQUEST
                vectors.delete(name, by_request=by_request)
            ingest(context, vectors, name, embedder, arrived, twice=values["allow_duplicates"])
        hits: list[Hit] = []
        if asked:
            hits = search(
                vectors,
                name,
                embedder,
                asked,
                count=max(1, values["number_of_results"]),
                how=values["search_type"],
                least=values["search_score_threshold"] or 0.0,
                where=read_filter(values["search_filter"]),
                cancelled=context.cancelled,
            )
        return _answer(context, hits, OpenCollection(vectors, name, embedder) if wants_handle else None)

    def fills_with(self, settings: Mapping[str, Any], connected: Collection[str]) -> str | None:
        """It fills its collection where something arrives."""
        return self._name_in(settings) if "ingest_data" in connected or settings.get("ingest_data") else None

    def reads_with(self, settings: Mapping[str, Any], connected: Collection[str]) -> str | None:
        """It searches its collection where a question arrives, or may: as an agent's tool."""
        fills = self.fills_with(settings, connected) is not None
        asked = "search_query" in connected or settings.get("search_query")
        return self._name_in(settings) if asked or not fills else None

    def collection_of(self, context: RunContext, values: Mapping[str, Any]) -> str:
        """Return the name of the collection: the first field that has one, else one for the flow."""
        return self._name_in(values) or f"flow {context.flow_id}"

    def _name_in(self, values: Mapping[str, Any]) -> str:
        names = (text_of(values.get(field)).strip() for field in self.collection_fields)
        return next((name[:1000] for name in names if name), "")


def vectors_of(context: RunContext) -> OwnerVectors:
    """Return the owner's collections.

    :raises ValueError: where a run was given none.
    """
    if context.vectors is None:
        raise ValueError("this run has no vector store")
    return context.vectors


def _answer(context: RunContext, hits: Sequence[Hit], handle: OpenCollection | None = None) -> dict[str, Any]:
    rows = [row_of(hit.chunk) for hit in hits]
    made: dict[str, Any] = {"search_results": rows}
    if "dataframe" in context.wanted:
        made["dataframe"] = rows
    if handle is not None:
        made |= {"vectorstoreconnection": handle, "base_retriever": handle}
    return made
