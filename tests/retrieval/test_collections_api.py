"""What is indexed, over HTTP: listed and deleted by its owner alone."""

from __future__ import annotations

import pytest

from flowrunner import Chunk
from flowrunner.app import create_app, runner_of
from tests.installed import require

require("numpy")

BASE = "/api/v1/collections"
#: Names that hold what paths and queries give a meaning to.
NAMES = ("plain", "a/b?c=d&e#f", "../x", "Ü n%20", "x" * 1000)


@pytest.fixture
def site(tmp_path):
    app = create_app(data_dir=tmp_path, memory="in-memory")
    runner = runner_of(app)
    keys = {who: runner.stores.keys.create(who) for who in ("ann", "bob")}
    keys["reader"] = runner.stores.keys.create("ann", read_only=True)
    flow = "11111111-1111-4111-8111-111111111111"
    keys["limited"] = runner.stores.keys.create("ann", flows=[flow])

    def ask(who, method="GET", path="/", status=200, **query):
        answer = app.test_client().open(
            BASE + path, method=method, query_string=query, headers={"x-api-key": keys[who]} if who else {}
        )
        assert answer.status_code == status, answer.text
        return answer.get_json()

    yield ask, runner
    runner.close()


def fill(runner, user, name, *documents):
    from flowrunner.store.keys import owner_of_user

    made = [Chunk(f"{document}-{n}", "text", [1.0, n], document) for document in documents for n in range(2)]
    runner.vectors.for_owner(owner_of_user(user)).upsert(name, made)


def test_collections_and_their_documents_are_listed_and_deleted(site):
    ask, runner = site
    assert ask("ann") == []
    for name in NAMES:
        fill(runner, "ann", name, "a.txt", "b/c.txt")
    about = {"documents": 2, "chunks": 4, "dimensions": 2}
    assert ask("ann") == [{"name": name, **about} for name in sorted(NAMES)]
    for name in NAMES:
        documents = [{"name": "a.txt", "chunks": 2}, {"name": "b/c.txt", "chunks": 2}]
        assert ask("ann", path="/documents", collection=name) == documents
        assert ask("ann", "DELETE", collection=name, document="b/c.txt") == {"deleted": 2}
        assert ask("ann", path="/documents", collection=name) == documents[:1]
        assert ask("ann", "DELETE", collection=name) == {"deleted": 2}
        ask("ann", "DELETE", status=404, collection=name)
    assert ask("ann") == []


def test_an_empty_document_is_not_all_of_them(site):
    ask, runner = site
    fill(runner, "ann", "c", "a.txt")
    ask("ann", "DELETE", status=404, collection="c", document="")
    ask("ann", "DELETE", status=404, collection="c", document="b.txt")
    ask("ann", "DELETE", status=422)
    ask("ann", "DELETE", status=422, collection="")
    ask("ann", path="/documents", status=422)
    assert len(ask("ann")) == 1


def test_they_are_their_owners(site):
    ask, runner = site
    fill(runner, "ann", "c", "a.txt")
    fill(runner, "bob", "c", "b.txt")
    assert ask("bob", path="/documents", collection="c") == [{"name": "b.txt", "chunks": 2}]
    ask("bob", "DELETE", collection="c")
    assert len(ask("ann")) == 1
    assert ask("reader") == ask("ann")
    for who, method, status in (
        ("reader", "DELETE", 403),
        ("limited", "GET", 403),
        ("limited", "DELETE", 403),
        (None, "GET", 403),
        (None, "DELETE", 403),
    ):
        ask(who, method, status=status, collection="c")
    assert len(ask("ann")) == 1
