"""``flowrunner collections``: list and delete collections of the vector store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from flowrunner.cli.context import Where, data_options, open_place
from flowrunner.cli.output import say
from flowrunner.cli.owners import print_table
from flowrunner.cli.suggestions import SuggestingGroup, with_hint
from flowrunner.errors import NotFound
from flowrunner.vectors import OwnerVectors

_owner = click.option("--owner", default="local", show_default=True, help="Whose collections.")


@contextmanager
def _open(owner: str, where: Where) -> Iterator[OwnerVectors]:
    from flowrunner.plugins.selection import open_vectors

    with open_place(where) as place:
        place.plugins.hand_out_settings(place.settings)
        vectors = open_vectors(place.plugins.registry, None, place.settings)
        try:
            yield vectors.for_owner(owner)
        finally:
            vectors.close()


def _unknown(vectors: OwnerVectors, collection: str) -> NotFound:
    known = [one.name for one in vectors.collections()]
    return NotFound(with_hint(f"This owner has no collection {collection}", collection, known))


@click.group("collections", cls=SuggestingGroup)
def collections_commands() -> None:
    """List and delete collections of the vector store."""


@collections_commands.command("list")
@click.argument("collection", required=False)
@_owner
@data_options
def list_command(collection: str | None, owner: str, where: Where) -> None:
    """List collections, or the documents of COLLECTION."""
    with _open(owner, where) as vectors:
        if collection is None:
            rows = [(one.name, one.documents, one.chunks, one.dimensions) for one in vectors.collections()]
            print_table(("collection", "documents", "chunks", "dimensions"), rows)
            return
        documents = [(one.name, one.chunks) for one in vectors.documents(collection)]
        if not documents:
            raise _unknown(vectors, collection)
    print_table(("document", "chunks"), documents)


@collections_commands.command("delete")
@click.argument("collection")
@click.option("--document", "documents", multiple=True, help="Only this document; may be repeated.")
@_owner
@data_options
def delete_command(collection: str, documents: tuple[str, ...], owner: str, where: Where) -> None:
    """Delete COLLECTION, or documents of it."""
    with _open(owner, where) as vectors:
        if documents:
            gone = sum(vectors.delete(collection, document=name) for name in documents)
        else:
            gone = vectors.delete(collection)
        if not gone and vectors.documents(collection):
            known = [one.name for one in vectors.documents(collection)]
            raise NotFound(with_hint(f"{collection} has no document {documents[0]}", documents[0], known))
        if not gone:
            raise _unknown(vectors, collection)
    say(f"deleted {gone} chunks")
