"""The chosen vector store, opened on first use, and handles on it bound to one owner."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from flowrunner.errors import (
    ChunkInvalid,
    FlowRunnerError,
    NotAllowed,
    VectorStoreFailed,
    is_interrupt,
    reason_of,
)
from flowrunner.memory.forks import after_fork
from flowrunner.vectors.chunk import Chunk, ChunkQuery, CollectionSummary, DocumentSummary, Hit
from flowrunner.vectors.store import VectorStore

logger = logging.getLogger("flowrunner")

LONGEST_NAME = 1000

#: The limit in bytes of UTF-8: PostgreSQL cannot index longer values.
_MOST_BYTES: Final = 2000


class Vectors:
    """The vector store chosen by the settings. Pass on only handles from :meth:`for_owner`.

    :param name: the name of the store in the setting.
    :param build: opens the store; called once, on first use, since most servers never use it.
    """

    def __init__(self, name: str, build: Callable[[], VectorStore]) -> None:
        self.name = name
        self._build = build
        self._store: VectorStore | None = None
        self._closed = False
        self._start_in_child()
        after_fork(self._start_in_child)

    def _start_in_child(self) -> None:
        self._lock = threading.Lock()

    @property
    def store(self) -> VectorStore:
        """The store, opened on first use.

        :raises PluginFailed: if it cannot be opened.
        """
        found = self._store
        if found is None:
            with self._lock:
                if self._closed:
                    raise RuntimeError("the vector store is closed")
                if self._store is None:
                    self._store = self._build()
                found = self._store
        return found

    def for_owner(self, owner: str) -> OwnerVectors:
        """Return a handle bound to one owner."""
        return OwnerVectors(self, owner)

    def within(self, reaches: Callable[[str, str], bool]) -> VectorsWithin:
        """Return the same store, limited to some collections.

        :param reaches: called with an owner and the name of a collection; returns whether the caller may use it.
        """
        return VectorsWithin(self, reaches)

    def close(self) -> None:
        """Close the store, if it was opened."""
        with self._lock:
            found, self._store, self._closed = self._store, None, True
        if found is None:
            return
        try:
            found.close()
        except BaseException as error:
            if is_interrupt(error):
                raise
            # A failure here must not keep other resources from being closed.
            logger.error("The vector store %s failed to close: %s.", self.name, reason_of(error))


class VectorsWithin:
    """The vector store limited to some collections of each owner; see :meth:`Vectors.within`."""

    def __init__(self, vectors: Vectors, reaches: Callable[[str, str], bool]) -> None:
        self._vectors = vectors
        self._reaches = reaches

    def for_owner(self, owner: str) -> OwnerVectors:
        """Return a handle bound to one owner and those collections."""
        return OwnerVectors(self._vectors, owner, partial(self._reaches, owner))


class OwnerVectors:
    """The collections of one owner. Views and components access a vector store only through this handle.

    :param reaches: called with the name of a collection; returns whether it may be used, and if not, operations on it
        raise :class:`~flowrunner.errors.NotAllowed`. None allows all collections.
    """

    __slots__ = ("_reaches", "_vectors", "owner")

    def __init__(self, vectors: Vectors, owner: str, reaches: Callable[[str], bool] | None = None) -> None:
        self._vectors = vectors
        self._reaches = reaches
        self.owner = owner

    @property
    def store_name(self) -> str:
        """The name of the store in the setting."""
        return self._vectors.name

    def upsert(self, collection: str, chunks: Sequence[Chunk]) -> int:
        """Store chunks in a collection and return their number; NUL and lone surrogates are removed from texts.

        :raises ChunkInvalid: if a chunk cannot be stored, naming the chunk and the reason.
        :raises VectorStoreFailed: if the store fails.
        """
        self._check(collection)
        seen: set[str] = set()
        made = []
        for chunk in chunks:
            _refuse_name(chunk.id, "chunk id")
            if chunk.id in seen:
                raise ChunkInvalid(f"The chunk id {chunk.id[:100]} occurs twice.")
            seen.add(chunk.id)
            document, text = _cut(storable(chunk.document)), storable(chunk.text)
            if (document, text) != (chunk.document, chunk.text):
                chunk = dataclasses.replace(chunk, document=document, text=text)
            made.append(chunk)
        done: int = self._ask("upsert_chunks", self.owner, collection, made)
        return done

    def fetch(self, collection: str, **query: Any) -> list[Chunk]:
        """Return chunks in order. The arguments are the members of :class:`ChunkQuery` except the owner."""
        done: list[Chunk] = self._ask("fetch_chunks", self._query(collection, query))
        return done

    def search(self, collection: str, vector: Sequence[float], limit: int = 4, **query: Any) -> list[Hit]:
        """Return the nearest chunks, best first. The other arguments are members of :class:`ChunkQuery`.

        :raises ChunkInvalid: if the vector has another number of dimensions than the collection.
        """
        self._check(collection)
        asked = ChunkQuery(self.owner, collection, limit=limit, **_kept_as(query))
        done: list[Hit] = self._ask("search_chunks", asked, vector)
        return done

    def delete(self, collection: str, *, by_request: bool = False, **query: Any) -> int:
        """Remove chunks and return their number. The other arguments are members of :class:`ChunkQuery`.

        :param by_request: the deletion was requested by a request, not by the author of the flow.
        :raises NotAllowed: if the API key of the request is limited to flows: only authors may empty a collection.
        """
        asked = self._query(collection, query)
        if by_request and self._reaches is not None:
            raise NotAllowed(
                f"The collection {collection!r} cannot be emptied by a request with a key limited to certain flows:"
                " only authors may empty collections."
            )
        done: int = self._ask("delete_chunks", asked)
        return done

    def collections(self) -> list[CollectionSummary]:
        """Return the collections of the owner that the caller may use, by name."""
        found: list[CollectionSummary] = self._ask("list_collections", self.owner)
        return found if self._reaches is None else [one for one in found if self._reaches(one.name)]

    def documents(self, collection: str) -> list[DocumentSummary]:
        """Return the documents of a collection, in order of their first chunks."""
        self._check(collection)
        done: list[DocumentSummary] = self._ask("list_documents", self.owner, collection)
        return done

    def _ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of the store, which may be third-party code.

        :raises VectorStoreFailed: if it raises an exception that is not a :class:`FlowRunnerError`.
        """
        store = self._vectors.store
        try:
            return getattr(store, method)(*arguments)
        except FlowRunnerError:
            raise
        except BaseException as error:
            if is_interrupt(error):
                raise
            said = f"The vector store {self.store_name} failed in {method}: {reason_of(error)}."
            raise VectorStoreFailed(said) from error

    def _query(self, collection: str, members: dict[str, Any]) -> ChunkQuery:
        self._check(collection)
        return ChunkQuery(**{**_kept_as(members), "owner": self.owner, "collection": collection})

    def _check(self, collection: str) -> None:
        _refuse_name(collection, "collection")
        if self._reaches is not None and not self._reaches(collection):
            raise NotAllowed(
                f"The collection {collection[:100]!r} cannot be used with an API key that is limited to certain flows,"
                " because the flow itself does not name it. Use the collection set in the flow, or a key without"
                " that limit."
            )


def _kept_as(members: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a query with document names and chunk ids in the form in which they are stored."""
    if members.get("document"):
        members = {**members, "document": storable(members["document"])[:LONGEST_NAME]}
    if members.get("ids"):
        members = {**members, "ids": tuple(one for one in members["ids"] if storable(one) == one)}
    return members


def storable(text: str) -> str:
    """Return a text without NUL and lone surrogates, which not every database can store."""
    if text.isascii():
        return text.replace("\0", "")
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _cut(name: str) -> str:
    """Return a name truncated to the allowed length."""
    return name[:LONGEST_NAME].encode()[:_MOST_BYTES].decode(errors="ignore")


def _refuse_name(name: str, what: str) -> None:
    if not isinstance(name, str) or not name or storable(name) != name or _cut(name) != name:
        raise ChunkInvalid(
            f"A {what} must be a string of 1 to {LONGEST_NAME} characters, at most {_MOST_BYTES} bytes in UTF-8,"
            " without characters that databases cannot store."
        )
