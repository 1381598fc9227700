"""The collections API: list and delete the indexed documents of an author."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from flowrunner.authority import AUTHOR
from flowrunner.errors import NotFound
from flowrunner.vectors import OwnerVectors
from flowrunner.web.auth import caller, this_runner
from flowrunner.web.fields import Text
from flowrunner.web.route import Input, RouteGroup
from flowrunner.web.schemas import Deleted, answer

BASE: Final = "/api/v1/collections"
#: Names of collections may be any text, so they are passed in the query, not in the path.
NAME: Final = Text("The name of the collection.", required=True, least=1)

routes = RouteGroup("collections")

Collection: Final = answer("Collection", name=str, documents=int, chunks=int, dimensions=int)
#: A document, the source of chunks in a collection.
IndexedDocument: Final = answer("IndexedDocument", name=str, chunks=int)


@routes.get(f"{BASE}/", needs=AUTHOR, answers={200: [Collection]})
def list_collections() -> list[dict[str, Any]]:
    """List the caller's collections."""
    return [asdict(found) for found in _vectors().collections()]


@routes.get(f"{BASE}/documents", needs=AUTHOR, query={"collection": NAME}, answers={200: [IndexedDocument]})
def list_documents(query: Input) -> list[dict[str, Any]]:
    """List the documents of a collection."""
    found = _vectors().documents(query["collection"])
    if not found:
        raise NotFound("Collection not found")
    return [asdict(document) for document in found]


@routes.delete(
    f"{BASE}/",
    needs=AUTHOR,
    query={"collection": NAME, "document": Text("Only the chunks of this document.", load_default=None)},
    answers={200: Deleted},
)
def delete_collection(query: Input) -> dict[str, int]:
    """Delete a collection, or one of its documents."""
    document = query["document"]
    count = _vectors().delete(query["collection"], **({} if document is None else {"document": document}))
    if not count:
        raise NotFound("Collection not found" if document is None else "Document not found")
    return {"deleted": count}


def _vectors() -> OwnerVectors:
    return this_runner().vectors.for_owner(caller().id)
