"""The vector store ``local``."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from sqlalchemy import Connection, Engine, delete, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from flowrunner import (
    Chunk,
    ChunkInvalid,
    ChunkQuery,
    CollectionSummary,
    DocumentSummary,
    Hit,
    VectorStore,
    VectorStoreFailed,
    reading,
    writing,
)

from ..extras import import_numpy
from .fast_search import MOST_ROWS, QuickReader
from .matrix import Matrices, Matrix, best, joined, make_matrix
from .packing import pack, query_vector, unpack
from .statements import UPSERT_CHUNK, UPSERT_COLLECTION, in_pieces, placeholders
from .tables import chunks, collections, schema

_COLUMNS = (chunks.c.seq, chunks.c.id, chunks.c.text, chunks.c.document, chunks.c.metadata, chunks.c.vector)


class LocalVectors(VectorStore):
    """Chunks in the app's SQLite or PostgreSQL; a search compares with every vector of the collection.

    Vectors of the collections used last stay in memory; who searches asks the database only whether
    anything has changed, and reads what has been added.

    :param engine: of the app's own data.
    :param room: bytes of memory for vectors.
    """

    shared: ClassVar[bool] = True
    durable: ClassVar[bool] = True

    def __init__(self, engine: Engine, *, room: int = 512 * 1024 * 1024) -> None:
        # Whoever lacks the library shall hear so when the store is opened, not in the middle of an ingestion.
        import_numpy()
        self._engine = engine
        self._matrices = Matrices(room)
        self._sqlite = engine.dialect.name == "sqlite"
        self._quick = QuickReader(engine)
        self._driver_error: type[Exception] = getattr(engine.dialect.loaded_dbapi, "Error", sqlite3.Error)
        schema.ensure(engine)

    def upsert_chunks(self, owner: str, collection: str, chunks: Sequence[Chunk]) -> int:
        """Store chunks, all or none; see :class:`~flowrunner.VectorStore`."""
        if not chunks:
            return 0
        if len({chunk.id for chunk in chunks}) < len(chunks):
            raise ChunkInvalid("A chunk id occurs twice.")
        vectors, dimensions = pack(chunks)
        with self._changing() as connection:
            place, had = self._touch(connection, owner, collection, dimensions)
            if had != dimensions:
                raise ChunkInvalid(
                    f"The collection {collection[:100]} has vectors of {had} dimensions, but these have {dimensions}:"
                    " they come from another embedding model; use another collection, or delete this one first."
                )
            before = self._last_seq(connection)
            connection.exec_driver_sql(
                placeholders(UPSERT_CHUNK, self._sqlite),
                [
                    (place, chunk.id, chunk.document, chunk.text, _json(chunk.metadata), vector)
                    for chunk, vector in zip(chunks, vectors, strict=True)
                ],
            )
            if self._added(connection, place, before) < len(chunks):
                self._mark_rewritten(connection, place)
        return len(chunks)

    def fetch_chunks(self, query: ChunkQuery) -> list[Chunk]:
        """Return the chunks meant, in order; see :class:`~flowrunner.VectorStore`."""
        with self._looking() as connection:
            found = self._find(connection, query.owner, query.collection)
            if found is None:
                return []
            rows = self._rows(connection, found.id, query)
            made = (_chunk_of(row) for row in rows)
            if query.where or query.ids is not None:
                return query.window([chunk for chunk in made if query.matches(chunk)])
            return list(made)

    def search_chunks(self, query: ChunkQuery, vector: Sequence[float]) -> list[Hit]:
        """Return the nearest of the chunks meant; see :class:`~flowrunner.VectorStore`."""
        if not (query.where or query.ids is not None or query.document is not None or query.limit is None):
            hits = self._search_known(query, vector)
            if hits is not None:
                return hits
        np = import_numpy()
        with self._looking() as connection:
            found = self._find(connection, query.owner, query.collection)
            if found is None:
                return []
            asked = query_vector(vector, found.dimensions)
            matrix = self._matrix(connection, found)
            seqs, vectors = matrix.seqs, matrix.vectors
            if query.where or query.ids is not None or query.document is not None:
                meant = self._meant(connection, found.id, query)
                places = np.flatnonzero(np.isin(seqs, np.asarray(meant, dtype=np.int64)))
                seqs, vectors = seqs[places], vectors[places]
            scores = vectors @ asked
            wanted = len(scores) if query.limit is None else query.offset + max(0, query.limit)
            picked = best(scores, wanted)[query.offset :] if wanted else []
            scored = {int(seqs[place]): float(scores[place]) for place in picked}
            rows = {row.seq: row for row in self._rows_of(connection, list(scored))}
        return [Hit(_chunk_of(rows[seq]), _cosine(score)) for seq, score in scored.items() if seq in rows]

    def _search_known(self, query: ChunkQuery, vector: Sequence[float]) -> list[Hit] | None:
        """Search a collection whose vectors are in memory as they are now; return None where they are not."""
        limit = query.offset + max(0, query.limit or 0)
        if limit > MOST_ROWS:
            return None
        try:
            with self._quick.open() as cursor:
                found = self._quick.find(cursor, query.owner, query.collection)
                kept = self._matrices.get(found[0]) if found is not None else None
                if found is None or kept is None or kept.version != found[2]:
                    return None
                scores = kept.vectors @ query_vector(vector, found[1])
                picked = best(scores, limit)[query.offset :] if limit else []
                scored = list(zip(kept.seqs[picked].tolist(), scores[picked].tolist(), strict=True)) if limit else []
                rows = self._quick.rows(cursor, [seq for seq, _ in scored])
        except (SQLAlchemyError, self._driver_error) as error:
            raise VectorStoreFailed("The vector store could not be read.") from error
        return [Hit(_chunk_of(rows[seq]), _cosine(score)) for seq, score in scored if seq in rows]

    def delete_chunks(self, query: ChunkQuery) -> int:
        """Remove what the query means; see :class:`~flowrunner.VectorStore`."""
        with self._changing() as connection:
            found = self._find(connection, query.owner, query.collection, locked=True)
            if found is None:
                return 0
            where = chunks.c.collection_id == found.id
            plain = not query.where and query.ids is None and query.limit is None and not query.offset
            if plain:
                if query.document is not None:
                    where &= chunks.c.document == query.document
                count = connection.execute(delete(chunks).where(where)).rowcount
            else:
                meant = self._meant(connection, found.id, query, window=True)
                count = sum(
                    connection.execute(delete(chunks).where(chunks.c.seq.in_(part))).rowcount
                    for part in in_pieces(meant)
                )
            if count:
                self._mark_rewritten(connection, found.id, bump=True)
                left = connection.execute(select(chunks.c.seq).where(chunks.c.collection_id == found.id).limit(1))
                if left.first() is None:
                    connection.execute(delete(collections).where(collections.c.id == found.id))
        return int(count)

    def list_collections(self, owner: str) -> list[CollectionSummary]:
        """Return an owner's collections, by name; see :class:`~flowrunner.VectorStore`."""
        statement = (
            select(collections.c.name, func.count(), func.count(chunks.c.document.distinct()), collections.c.dimensions)
            .join(chunks, chunks.c.collection_id == collections.c.id)
            .where(collections.c.owner == owner)
            .group_by(collections.c.id, collections.c.name, collections.c.dimensions)
        )
        with self._looking() as connection:
            found = [CollectionSummary(*row) for row in connection.execute(statement)]
        # In order of the characters' numbers everywhere; a database sorts as its language does.
        return sorted(found, key=lambda one: one.name)

    def list_documents(self, owner: str, collection: str) -> list[DocumentSummary]:
        """Return the documents of a collection; see :class:`~flowrunner.VectorStore`."""
        with self._looking() as connection:
            found = self._find(connection, owner, collection)
            if found is None:
                return []
            first = func.min(chunks.c.seq)
            statement = (
                select(chunks.c.document, func.count())
                .where(chunks.c.collection_id == found.id)
                .group_by(chunks.c.document)
                .order_by(first)
            )
            return [DocumentSummary(*row) for row in connection.execute(statement)]

    def close(self) -> bool:
        """Forget the vectors in memory; the engine is the app's."""
        self._matrices.clear()
        return True

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        try:
            with writing(self._engine) as connection:
                yield connection
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise VectorStoreFailed("The vector store could not be written.") from error

    @contextmanager
    def _looking(self) -> Iterator[Connection]:
        try:
            with reading(self._engine) as connection:
                yield connection
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise VectorStoreFailed("The vector store could not be read.") from error

    def _touch(self, connection: Connection, owner: str, collection: str, dimensions: int) -> tuple[int, int]:
        """Make the collection or give it a new version, which locks it; return its id and its dimensions."""
        row = connection.exec_driver_sql(
            placeholders(UPSERT_COLLECTION, self._sqlite), (owner, collection, dimensions)
        ).one()
        return row[0], row[1]

    def _find(self, connection: Connection, owner: str, collection: str, *, locked: bool = False) -> Any:
        statement = select(collections).where(collections.c.owner == owner, collections.c.name == collection)
        return connection.execute(statement.with_for_update() if locked else statement).first()

    def _last_seq(self, connection: Connection) -> int:
        return connection.execute(select(func.max(chunks.c.seq))).scalar() or 0

    def _added(self, connection: Connection, place: int, after: int) -> int:
        statement = select(func.count()).where(chunks.c.seq > after, chunks.c.collection_id == place)
        return int(connection.execute(statement).scalar_one())

    def _mark_rewritten(self, connection: Connection, place: int, *, bump: bool = False) -> None:
        version = collections.c.version + (1 if bump else 0)
        statement = update(collections).where(collections.c.id == place)
        connection.execute(statement.values(version=version, rewritten=version))

    def _matrix(self, connection: Connection, found: Any) -> Matrix:
        """Return the vectors of a collection as the transaction sees it."""
        kept = self._matrices.get(found.id)
        if kept is not None and kept.version == found.version:
            return kept
        statement = select(chunks.c.seq, chunks.c.vector).where(chunks.c.collection_id == found.id)
        grown = kept is not None and found.rewritten <= kept.version < found.version and len(kept.seqs)
        if kept is not None and grown:
            statement = statement.where(chunks.c.seq > int(kept.seqs[-1]))
        rows = connection.execute(statement).all()
        made = make_matrix(found.version, list(rows), found.dimensions)
        if kept is not None and grown:
            made = joined(kept, made)
        self._matrices.keep(found.id, made)
        return made

    def _rows(self, connection: Connection, place: int, query: ChunkQuery) -> list[Any]:
        """Return rows in order: exactly those meant, or more where the query has ids or names metadata."""
        statement = select(*_COLUMNS).where(chunks.c.collection_id == place).order_by(chunks.c.seq)
        if query.document is not None:
            statement = statement.where(chunks.c.document == query.document)
        if query.ids is not None:
            found = [
                row
                for part in in_pieces(list(dict.fromkeys(query.ids)))
                for row in connection.execute(statement.where(chunks.c.id.in_(part)))
            ]
            return sorted(found, key=lambda row: row.seq)
        if not query.where:
            limit = query.limit if query.limit is None else max(0, query.limit)
            # SQLite has no OFFSET without a LIMIT; SQLAlchemy writes one.
            statement = statement.limit(limit).offset(query.offset or None)
        return list(connection.execute(statement))

    def _meant(self, connection: Connection, place: int, query: ChunkQuery, *, window: bool = False) -> list[int]:
        """Return the places of the chunks that a query means, in order."""
        columns = (chunks.c.seq, chunks.c.metadata) if query.where else (chunks.c.seq,)
        statement = select(*columns).where(chunks.c.collection_id == place).order_by(chunks.c.seq)
        if query.document is not None:
            statement = statement.where(chunks.c.document == query.document)
        if query.ids is None:
            rows: list[Any] = list(connection.execute(statement))
        else:
            parts = in_pieces(list(dict.fromkeys(query.ids)))
            rows = [row for part in parts for row in connection.execute(statement.where(chunks.c.id.in_(part)))]
            rows.sort(key=lambda row: int(row[0]))
        found = [row[0] for row in rows if not query.where or query.matches_metadata(json.loads(row[1]))]
        if not window:
            return found
        end = None if query.limit is None else query.offset + max(0, query.limit)
        return found[query.offset : end]

    def _rows_of(self, connection: Connection, seqs: list[int]) -> list[Any]:
        return [
            row
            for part in in_pieces(seqs)
            for row in connection.execute(select(*_COLUMNS).where(chunks.c.seq.in_(part)))
        ]


def _json(metadata: Any) -> str:
    try:
        return json.dumps(metadata, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise ChunkInvalid("The metadata of a chunk is not JSON.") from error


#: What :func:`json.loads` does with a text that was written by :func:`_json`: there is no space around it.
_read_json: Final = json.JSONDecoder().raw_decode


def _chunk_of(row: Any) -> Chunk:
    _, name, text, document, metadata, vector = row
    return Chunk(name, text, unpack(vector), document, _read_json(metadata)[0])


def _cosine(score: float) -> float:
    """Return a score without what rounding adds to 1 or takes from -1."""
    return score if -1.0 <= score <= 1.0 else math.copysign(1.0, score)
