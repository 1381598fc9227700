"""The plainest vector store that is right: a dictionary in the process."""

from __future__ import annotations

import copy
import math
import threading
from array import array

from flowrunner import Chunk, ChunkInvalid, CollectionSummary, DocumentSummary, Hit, VectorStore
from flowrunner.testing.vectors.searching import cosine


class PlainVectors(VectorStore):
    """Keeps chunks in a dictionary."""

    def __init__(self):
        self._kept = {}
        self._lock = threading.Lock()

    def upsert_chunks(self, owner, collection, chunks):
        if not chunks:
            return 0
        try:
            vectors = [array("f", chunk.vector) for chunk in chunks]
        except TypeError as error:
            raise ChunkInvalid("A vector contains something that is not a number.") from error
        with self._lock:
            kept = self._kept.get((owner, collection), {})
            sizes = {len(vector) for vector in vectors} | {len(chunk.vector) for chunk in kept.values()}
            if len(sizes) > 1 or 0 in sizes or not all(math.isfinite(x) for vector in vectors for x in vector):
                raise ChunkInvalid("The vectors do not fit.")
            if len({chunk.id for chunk in chunks}) < len(chunks):
                raise ChunkInvalid("A chunk id occurs twice.")
            new = {c.id: _copy(c, v) for c, v in zip(chunks, vectors, strict=True)}
            self._kept[owner, collection] = {**kept, **new}
        return len(chunks)

    def fetch_chunks(self, query):
        kept = self._kept.get((query.owner, query.collection), {})
        return query.window([_copy(chunk, chunk.vector) for chunk in kept.values() if query.matches(chunk)])

    def search_chunks(self, query, vector):
        kept = self._kept.get((query.owner, query.collection), {})
        if kept and (len(vector) != len(next(iter(kept.values())).vector) or not all(map(math.isfinite, vector))):
            raise ChunkInvalid("The vector does not fit.")
        hits = [Hit(_copy(c, c.vector), cosine(c.vector, vector)) for c in kept.values() if query.matches(c)]
        hits.sort(key=lambda hit: -hit.score)
        return hits[query.offset : None if query.limit is None else query.offset + query.limit]

    def delete_chunks(self, query):
        with self._lock:
            kept = self._kept.get((query.owner, query.collection), {})
            gone = {chunk.id for chunk in query.window([c for c in kept.values() if query.matches(c)])}
            left = {name: chunk for name, chunk in kept.items() if name not in gone}
            self._kept.pop((query.owner, query.collection), None)
            if left:
                self._kept[query.owner, query.collection] = left
            return len(gone)

    def list_collections(self, owner):
        found = []
        for (whose, name), kept in sorted(self._kept.items()):
            if whose == owner:
                size = len(next(iter(kept.values())).vector)
                found.append(CollectionSummary(name, len(kept), len({c.document for c in kept.values()}), size))
        return found

    def list_documents(self, owner, collection):
        counts = {}
        for chunk in self._kept.get((owner, collection), {}).values():
            counts[chunk.document] = counts.get(chunk.document, 0) + 1
        return [DocumentSummary(*item) for item in counts.items()]

    def close(self):
        return True


def _copy(chunk, vector):
    return Chunk(chunk.id, chunk.text, array("f", vector), chunk.document, copy.deepcopy(dict(chunk.metadata)))
