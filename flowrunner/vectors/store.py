"""The contract of a vector store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from flowrunner.vectors.chunk import Chunk, ChunkQuery, CollectionSummary, DocumentSummary, Hit


class VectorStore(ABC):
    """A store of chunks and their vectors. **This docstring is the contract**; the kit in ``flowrunner.testing`` tests
    it, and nothing else defines it.

    *Owners and collections.* Every call names one owner and one collection. The same collection name of two owners is
    two collections; no call reaches a chunk of another owner or collection. A collection exists as long as it has
    chunks.

    *Order* is the order in which chunks were first stored. A chunk stored again under its id is replaced and keeps its
    position.

    *Vectors* of one collection have the same number of dimensions, all of them finite numbers; others are refused with
    :class:`~flowrunner.ChunkInvalid`. They are stored in single precision. Searching with a vector of another length
    is refused as well; an empty collection finds nothing for any vector.

    *Values* come back as they went in: texts, ids and names of any characters except NUL and lone surrogates, metadata
    as JSON. Ids are not empty; ids and names have at most 1,000 characters. Changing an object that was passed in or
    returned has no effect on the store.

    ``upsert_chunks`` stores all chunks or none and returns their number. An id that occurs twice in one call is
    refused with :class:`~flowrunner.ChunkInvalid`; a call without chunks changes nothing.

    ``fetch_chunks`` returns the chunks that the query means, in order.

    ``search_chunks`` returns those of them that are nearest to a vector, best first; chunks with equal scores are in
    order. The score is the cosine of the angle between the vectors, or 0 if one of them has no length. The search is
    exact unless the class sets ``exact = False``.

    ``delete_chunks`` removes the chunks that the query means and returns their number.

    ``list_collections`` returns the collections of an owner by name, ``list_documents`` the documents of a collection
    in order of their first chunks.

    ``close`` releases everything and returns True; a second call does no harm.

    *Failure.* An operation that cannot be done raises :class:`~flowrunner.VectorStoreFailed` (with ``__cause__``) and
    leaves nothing half-done. All operations may be called from any thread. When a write returns, it is visible to all
    readers; a ``durable`` store has it on disk, and a ``shared`` store shows it to every process.
    """

    #: Other processes that open the same place see the same chunks.
    shared: ClassVar[bool] = False
    #: Chunks survive the end of the process, also ``kill -9``.
    durable: ClassVar[bool] = False
    #: A search finds exactly the nearest chunks; False: it may miss some for speed.
    exact: ClassVar[bool] = True

    @abstractmethod
    def upsert_chunks(self, owner: str, collection: str, chunks: Sequence[Chunk]) -> int:
        """Store chunks, all or none, and return their number.

        :raises ChunkInvalid: if a chunk cannot be stored.
        :raises VectorStoreFailed: if the store fails.
        """

    @abstractmethod
    def fetch_chunks(self, query: ChunkQuery) -> list[Chunk]:
        """Return the chunks that the query means, in order."""

    @abstractmethod
    def search_chunks(self, query: ChunkQuery, vector: Sequence[float]) -> list[Hit]:
        """Return the chunks that the query means and that are nearest to a vector, best first.

        :raises ChunkInvalid: if the length of the vector differs from the collection's.
        """

    @abstractmethod
    def delete_chunks(self, query: ChunkQuery) -> int:
        """Remove the chunks that the query means and return their number."""

    @abstractmethod
    def list_collections(self, owner: str) -> list[CollectionSummary]:
        """Return the collections of an owner, by name."""

    @abstractmethod
    def list_documents(self, owner: str, collection: str) -> list[DocumentSummary]:
        """Return the documents of a collection, in order of their first chunks."""

    @abstractmethod
    def close(self) -> bool:
        """Release everything and return True."""


VectorStoreFactory = Callable[..., VectorStore]
