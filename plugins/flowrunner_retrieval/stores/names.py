"""The component types of vector stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from flowrunner import Input

from .component import INPUTS, StoreComponent

_COLLECTION: Final = ("collection_name",)
_INDEX: Final = ("index_name",)
_TABLE: Final = ("table_name",)

#: Type name: what it is called, other names of the type, fields that name the collection, results that are usual.
STORES: Final[dict[str, tuple[str, tuple[str, ...], tuple[str, ...], int]]] = {
    "AstraDB": ("Astra DB", ("AstraDBVectorStoreComponent", "AstraDBVectorStore", "AstraDBSearch"), _COLLECTION, 4),
    "AstraVectorStoreComponent": ("Astra DB", (), _COLLECTION, 4),
    "AstraDBGraph": ("Astra DB Graph", ("AstraDBGraphVectorStoreComponent",), _COLLECTION, 4),
    "HCD": ("Hyper-Converged Database", ("HCDVectorStoreComponent",), _COLLECTION, 4),
    "Chroma": ("Chroma DB", ("ChromaVectorStoreComponent", "ChromaSearch"), _COLLECTION, 10),
    "FAISS": ("FAISS", ("FaissVectorStoreComponent", "FAISSSearch"), _INDEX, 4),
    "QdrantVectorStoreComponent": ("Qdrant", ("Qdrant", "QdrantSearch"), _COLLECTION, 4),
    "pgvector": ("PGVector", ("PGVector", "PGVectorStoreComponent", "pgvectorSearch"), _COLLECTION, 4),
    "Milvus": ("Milvus", ("MilvusVectorStoreComponent",), _COLLECTION, 4),
    "Pinecone": ("Pinecone", ("PineconeVectorStoreComponent", "PineconeSearch"), _INDEX, 4),
    "OpenSearch": (
        "OpenSearch",
        ("OpenSearchVectorStoreComponent", "OpenSearchVectorStoreComponentMultimodalMultiEmbedding"),
        _INDEX,
        4,
    ),
    "Elasticsearch": ("Elasticsearch", ("ElasticsearchVectorStoreComponent",), _INDEX, 4),
    "Weaviate": ("Weaviate", ("WeaviateVectorStoreComponent", "WeaviateVectorStore", "WeaviateSearch"), _INDEX, 4),
    "MongoDBAtlasVector": (
        "MongoDB Atlas",
        ("MongoDBAtlasVectorStoreComponent", "MongoDBAtlas"),
        ("collection_name", "index_name"),
        4,
    ),
    "Cassandra": ("Cassandra", ("CassandraVectorStoreComponent",), _TABLE, 4),
    "CassandraGraph": ("Cassandra Graph", ("CassandraGraphVectorStoreComponent",), _TABLE, 4),
    "ClickhouseVectorStoreComponent": ("ClickHouse", ("Clickhouse",), ("table", "index_name"), 4),
    "SupabaseVectorStore": ("Supabase", ("SupabaseVectorStoreComponent",), _TABLE, 4),
    "Couchbase": ("Couchbase", ("CouchbaseVectorStoreComponent",), ("collection_name", "index_name"), 4),
    "UpstashVectorStoreComponent": ("Upstash", ("Upstash",), ("namespace", "index_name"), 4),
    "VectaraVectorStoreComponent": ("Vectara", ("Vectara",), ("vectara_corpus_id",), 4),
    "OracleVectorStore": ("Oracle Database", ("oracledb_vector",), _TABLE, 4),
    "RedisVectorStoreComponent": ("Redis", ("RedisVectorStore",), ("redis_index_name", "index_name"), 4),
}


def _type_of(
    type_name: str, shown: str, aliases: Sequence[str], fields: Sequence[str], count: int
) -> type[StoreComponent]:
    """Return the component type of one name."""
    made: dict[str, Any] = {
        "__doc__": f"Store and search texts in the operator's vector store, in place of {shown}.",
        "type_name": type_name,
        "aliases": tuple(aliases),
        "display_name": shown,
        "collection_fields": tuple(fields),
        "answered_by": "VECTOR_STORE",
        "inputs": (*_inputs(count), *(Input(name, "str", info="name of the collection") for name in fields)),
    }
    return type(type_name, (StoreComponent,), made)


def _inputs(count: int) -> tuple[Input, ...]:
    usual = Input("number_of_results", "int", default=count, aliases=("top_k",))
    return tuple(usual if one.name == usual.name else one for one in INPUTS)


STORE_TYPES: Final[tuple[type[StoreComponent], ...]] = (
    StoreComponent,
    *(_type_of(name, *rest) for name, rest in STORES.items()),
)
