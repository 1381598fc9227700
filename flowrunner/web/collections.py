"""The collections API: what of an author's documents is indexed, listed and deleted."""

from __future__ import annotations

from typing import Final

from flask import Response
from marshmallow import Schema, fields

from flowrunner.authority import AUTHOR, Capability, require
from flowrunner.errors import NotFound
from flowrunner.vectors import OwnerVectors
from flowrunner.web.auth import caller, this_runner
from flowrunner.web.fields import Text
from flowrunner.web.json_io import json_response
from flowrunner.web.route import Input, ListOf, RouteGroup

BASE: Final = "/api/v1/collections"
#: Names of collections hold anything, so that they stand in the query and in no path.
NAME: Final = Text("The name of the collection.", required=True, least=1)

routes = RouteGroup("collections")


class Collection(Schema):
    """A collection of the vector store."""

    name = fields.String(required=True)
    documents = fields.Integer(required=True)
    chunks = fields.Integer(required=True)
    dimensions = fields.Integer(required=True)


class IndexedDocument(Schema):
    """What chunks of a collection were cut from."""

    name = fields.String(required=True)
    chunks = fields.Integer(required=True)


class ChunksDeleted(Schema):
    """How many chunks are gone."""

    deleted = fields.Integer(required=True)


@routes.get(f"{BASE}/", needs=AUTHOR, answers={200: ListOf(Collection)})
def list_collections() -> Response:
    """List the caller's collections."""
    found = _vectors(change=False).collections()
    return json_response(
        [{"name": c.name, "documents": c.documents, "chunks": c.chunks, "dimensions": c.dimensions} for c in found]
    )


@routes.get(f"{BASE}/documents", needs=AUTHOR, query={"collection": NAME}, answers={200: ListOf(IndexedDocument)})
def list_documents(query: Input) -> Response:
    """List the documents of a collection."""
    found = _vectors(change=False).documents(query["collection"])
    if not found:
        raise NotFound("Collection not found")
    return json_response([{"name": one.name, "chunks": one.chunks} for one in found])


@routes.delete(
    f"{BASE}/",
    needs=AUTHOR,
    query={"collection": NAME, "document": Text("Only the chunks of this document.", load_default=None)},
    answers={200: ChunksDeleted},
)
def delete_collection(query: Input) -> Response:
    """Delete a collection, or one of its documents."""
    vectors, document = _vectors(change=True), query["document"]
    more = {} if document is None else {"document": document}
    count = vectors.delete(query["collection"], **more)
    if not count:
        raise NotFound("Collection not found" if document is None else "Document not found")
    return json_response({"deleted": count})


def _vectors(*, change: bool) -> OwnerVectors:
    identity = caller()
    require(identity, Capability.AUTHOR, change=change)
    return this_runner().vectors.for_owner(identity.id)
