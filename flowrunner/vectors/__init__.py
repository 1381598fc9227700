"""Vector stores: the contract of a store of embedded texts, and the handle that flows use."""

from flowrunner.vectors.chunk import Chunk, ChunkQuery, CollectionSummary, DocumentSummary, Hit
from flowrunner.vectors.handle import LONGEST_NAME, OwnerVectors, Vectors, VectorsWithin
from flowrunner.vectors.store import VectorStore, VectorStoreFactory

__all__ = [
    "LONGEST_NAME",
    "Chunk",
    "ChunkQuery",
    "CollectionSummary",
    "DocumentSummary",
    "Hit",
    "OwnerVectors",
    "VectorStore",
    "VectorStoreFactory",
    "Vectors",
    "VectorsWithin",
]
