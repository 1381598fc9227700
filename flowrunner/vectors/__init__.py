"""Vector stores: the contract of a store of embedded texts, and the handle through which flows reach the chosen one."""

from flowrunner.vectors.chunk import Chunk, ChunkQuery, CollectionSummary, DocumentSummary, Hit
from flowrunner.vectors.handle import OwnerVectors, Vectors
from flowrunner.vectors.store import VectorStore, VectorStoreFactory

__all__ = [
    "Chunk",
    "ChunkQuery",
    "CollectionSummary",
    "DocumentSummary",
    "Hit",
    "OwnerVectors",
    "VectorStore",
    "VectorStoreFactory",
    "Vectors",
]
