"""``flowrunner collections``: list and delete collections of the vector store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from flowrunner.cli.context import data_options, open_place
from flowrunner.cli.output import say
from flowrunner.cli.owners import print_table
from flowrunner.cli.suggestions import SuggestingGroup, did_you_mean
from flowrunner.errors import NotFound
from flowrunner.vectors import OwnerVectors

_owner = click.option("--owner", default="local", show_default=True, help="Whose collections.")


@contextmanager
def _open(owner: str, data_dir: Path | None, database_url: str | None) -> Iterator[OwnerVectors]:
    with open_place(data_dir=data_dir, database_url=database_url) as place:
        place.plugins.hand_out_settings(place.settings)
        vectors = place.plugins.open_vectors(None, place.settings)
        try:
            yield vectors.for_owner(owner)
        finally:
            vectors.close()


def _unknown(vectors: OwnerVectors, collection: str) -> NotFound:
    hint = did_you_mean(collection, [one.name for one in vectors.collections()])
    return NotFound(f"This owner has no collection {collection}{f'; {hint}' if hint else '.'}")


@click.group("collections", cls=SuggestingGroup)
def collections_commands() -> None:
    """List and delete collections of the vector store."""


@collections_commands.command("list")
@click.argument("collection", required=False)
@_owner
@data_options
def list_command(collection: str | None, owner: str, data_dir: Path | None, database_url: str | None) -> None:
    """List collections, or the documents of COLLECTION."""
    with _open(owner, data_dir, database_url) as vectors:
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
def delete_command(
    collection: str, documents: tuple[str, ...], owner: str, data_dir: Path | None, database_url: str | None
) -> None:
    """Delete COLLECTION, or documents of it."""
    with _open(owner, data_dir, database_url) as vectors:
        if documents:
            gone = sum(vectors.delete(collection, document=name) for name in documents)
        else:
            gone = vectors.delete(collection)
        if not gone and vectors.documents(collection):
            known = [one.name for one in vectors.documents(collection)]
            hint = did_you_mean(documents[0], known)
            raise NotFound(f"{collection} has no document {documents[0]}{f'; {hint}' if hint else '.'}")
        if not gone:
            raise _unknown(vectors, collection)
    say(f"deleted {gone} chunks")
