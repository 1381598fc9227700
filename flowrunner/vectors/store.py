"""The contract of a vector store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from flowrunner.vectors.chunk import Chunk, ChunkQuery, CollectionSummary, DocumentSummary, Hit


class VectorStore(ABC):
    """A store of chunks and their vectors. **This docstring is the contract**; the kit in
    ``flowrunner.testing`` proves it, and nothing else defines it.

    *Owners and collections.* Every call names one owner and one collection. The same collection name
    of two owners is two collections; no call reaches a chunk of another owner or collection. A
    collection comes into being with its first chunk and is gone with its last.

    *Order* is the order in which chunks were first stored. A chunk that is stored again under its id
    is replaced and keeps its place.

    *Vectors* of one collection have the same number of dimensions, all of them finite numbers; others
    are refused with :class:`~flowrunner.ChunkInvalid`. They are kept in single precision. Searching
    with a vector of another length is refused likewise; an empty collection finds nothing for any.

    *Values* come back as they went in: texts, ids and names of any characters but NUL and lone
    surrogates, metadata as JSON. Ids are not empty; ids and names have at most 1,000 characters. What
    was handed in or out can be changed by its holder without any effect on the store.

    ``upsert_chunks`` stores all chunks or none and returns how many that were. An id that occurs
    twice in one call is refused with :class:`~flowrunner.ChunkInvalid`; no chunks are no change.

    ``fetch_chunks`` returns the chunks that the query means, in order.

    ``search_chunks`` returns those of them that are nearest to a vector, best first, in order where
    scores are equal. The score is the cosine of the angle, 0 where a vector has no length. The search
    is exact unless the class says ``exact = False``.

    ``delete_chunks`` removes what the query means and returns how many that were.

    ``list_collections`` returns an owner's collections by name, ``list_documents`` the documents of
    one in order of their first chunks.

    ``close`` releases everything and returns True; a second call does no harm.

    *Failure.* Whatever cannot be done raises :class:`~flowrunner.VectorStoreFailed` (with
    ``__cause__``) and leaves nothing half-done. All operations may be called from any thread. When a
    write returns, a ``durable`` store has it on disk, and in a ``shared`` one every process sees it.
    """

    #: Other processes that open the same place see the same chunks.
    shared: ClassVar[bool] = False
    #: Chunks survive the end of the process, also ``kill -9``.
    durable: ClassVar[bool] = False
    #: A search finds exactly the nearest; else it may miss some for speed.
    exact: ClassVar[bool] = True

    @abstractmethod
    def upsert_chunks(self, owner: str, collection: str, chunks: Sequence[Chunk]) -> int:
        """Store chunks, all or none, and return their number."""

    @abstractmethod
    def fetch_chunks(self, query: ChunkQuery) -> list[Chunk]:
        """Return the chunks meant, in order."""

    @abstractmethod
    def search_chunks(self, query: ChunkQuery, vector: Sequence[float]) -> list[Hit]:
        """Return the chunks meant that are nearest to a vector, best first."""

    @abstractmethod
    def delete_chunks(self, query: ChunkQuery) -> int:
        """Remove the chunks meant and return their number."""

    @abstractmethod
    def list_collections(self, owner: str) -> list[CollectionSummary]:
        """Return an owner's collections, by name."""

    @abstractmethod
    def list_documents(self, owner: str, collection: str) -> list[DocumentSummary]:
        """Return the documents of a collection, in order of their first chunks."""

    @abstractmethod
    def close(self) -> bool:
        """Release everything; return True."""


VectorStoreFactory = Callable[..., VectorStore]
