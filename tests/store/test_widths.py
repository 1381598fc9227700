"""Every column takes the longest value that is let in, on PostgreSQL, which counts characters and bytes of indexes."""

import io
import random
import string
import uuid

import pytest
from flask import Flask
from flowrunner_retrieval.local_store.tables import metadata as of_vectors
from flowrunner_sqlite.tables import metadata as of_memory
from sqlalchemy import String, text

from flowrunner import Chunk, FlowRunner, FlowRunnerError, Identity
from flowrunner.errors import ChunkInvalid
from flowrunner.site.callers import as_identity
from flowrunner.store.ledger import RUN_STATES
from flowrunner.store.tables import metadata as of_app
from flowrunner.vectors import LONGEST_NAME
from tests.waiting import wait_until
from tests.web.site import echo_flow


def letters(number, seed=7):
    """Return a text of characters of four bytes, in an order in which nothing can be packed."""
    chance = random.Random(seed)
    return "".join(chr(chance.randrange(0x1F300, 0x1F5FF)) for _ in range(number))


OWNER = "".join(random.Random(1).choices(string.ascii_letters, k=255))
NAME, SESSION = letters(255, 2), letters(5000, 3)

#: Columns with a width that have room, and how long what was written there is; all of it is the code's own words.
ROOM = {
    "flowrunner_answers.state": 4,
    "flowrunner_api_keys.hint": 8,
    "flowrunner_facts.name": 10,
    "flowrunner_files.stored_name": 64,
    "flowrunner_processes.place": 32,
    "flowrunner_runs.status": 7,
    "flowrunner_variables.type": 10,
}

#: Events of streams pass; counts and places of limits, and titles, are kept under digests, where there are any.
PASSING = ("flowrunner_stream", "flowrunner_counts", "flowrunner_places", "flowrunner_titles")

#: Columns that are filled by other engines, by a stop or by a model alone, or are no longer than a number; what was
#: asked is removed when a run has ended, and events of streams once they have been read; why a run failed may stand in
#: its record alone.
ELSEWHERE = {
    "flowrunner_runs.request",
    "flowrunner_runs.error",
    "flowrunner_runs.engine",
    "flowrunner_runs.sent_at",
    "flowrunner_runs.again",
    "flowrunner_runs.stop",
    "flowrunner_search_state.id",
    "flowrunner_search_state.indexed_to",
    "flowrunner_messages.session_metadata",
    "flowrunner_messages.duration",
}


@pytest.fixture(scope="module")
def site(postgres_server, tmp_path_factory):
    """A site whose one user has the longest id that a user may have."""
    name = f"widths_{uuid.uuid4().hex}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    url = postgres_server.url(name).render_as_string(hide_password=False)
    app = Flask("site")
    app.secret_key = "s"
    made = FlowRunner(
        app,
        url_prefix="/f",
        identity=lambda request: Identity(OWNER, author=True, name=NAME),
        api=True,
        memory="sqlite",
        database_url=url,
        secret_key="k",
        data_dir=str(tmp_path_factory.mktemp("data")),
    )
    yield app
    app.extensions["flowrunner"]["flowrunner"].close()
    assert made


def fill(app):
    """Ask for the longest of everything, and return what was answered by what it was."""
    client = app.test_client()

    def ask(method, path, **more):
        sent = {"X-Flowrunner": "1", **more.pop("headers", {})}
        answer = client.open(f"/f{path}", method=method, headers=sent, **more)
        assert answer.status_code < 300, (method, path[:60], answer.status_code, answer.get_data(as_text=True)[:300])
        return answer.get_json() if answer.is_json else answer.get_data(as_text=True)

    flow = {**echo_flow(NAME), "endpoint_name": "e" * 255, "description": letters(10_000), "icon": letters(500)}
    flow_id = ask("POST", "/api/v1/flows/", json=flow)["id"]
    ask("POST", "/api/v1/projects/", json={"name": NAME, "description": letters(10_000)})
    variable = {"name": NAME, "value": letters(65_536), "default_fields": [letters(255)] * 3}
    ask("POST", "/api/v1/variables/", json={**variable, "type": "Credential"})
    runner = app.extensions["flowrunner"]["flowrunner"]
    keys = runner.stores.keys
    assert keys.identify(keys.create(letters(255, 4), name=NAME, flows=[NAME, flow_id]))
    # Nine bytes of a suffix, so that a number has room where the name is taken.
    for path in ("/api/v2/files/", f"/api/v1/files/upload/{flow_id}"):
        for _ in range(2):
            file = (io.BytesIO(b"x" * 1000), f"{letters(247)}.txt", f"text/{'x' * 300}")
            ask("POST", path, data={"file": file}, content_type="multipart/form-data")
    body = {"input_value": letters(50_000), "session_id": SESSION}
    tweaks = {"ChatInput-a": {"sender_name": letters(3000), "context_id": letters(3000)}}
    headers = {"Idempotency-Key": "k" * 255}
    ask("POST", f"/api/v1/run/{flow_id}", json={**body, "tweaks": tweaks}, headers=headers)
    for session in (letters(255), letters(256), letters(254)):
        ask("POST", f"/api/v1/run/{flow_id}", json={**body, "session_id": session})
    ask("POST", f"/api/v1/run/{flow_id}?stream=sse", json=body)
    ask("POST", f"/api/v1/run/{flow_id}?background=true", json=body)
    failing = {"ChatOutput-b": {"sender_name": {"value": letters(255, 8), "load_from_db": True}}}
    ask("POST", f"/api/v1/run/{flow_id}?background=true", json={**body, "tweaks": failing})
    ask("POST", f"/api/v1/webhook/{flow_id}", json={"x": letters(3000)})
    message = ask("GET", "/api/v1/monitor/messages?limit=1")[0]["id"]
    ask("PUT", f"/api/v1/monitor/messages/{message}", json={"text": letters(9000), "sender_name": letters(3000)})
    vectors = runner.vectors.for_owner(OWNER)
    # Of two thousand bytes, however few characters that are; the name of a document is cut.
    name, document = letters(500), letters(LONGEST_NAME, 6)
    vectors.upsert(name, [Chunk(letters(500, 5), letters(9000), [1.0, 2.0], document)])
    assert vectors.search(name, [1.0, 2.0])[0].chunk.document == document[:500]
    for other in (letters(501), "x" * (LONGEST_NAME + 1)):
        with pytest.raises(ChunkInvalid, match="1000 characters, at most 2000 bytes"):
            vectors.upsert(other, [])


def test_every_column_takes_its_longest_value(site):
    fill(site)
    engine = site.extensions["flowrunner"]["flowrunner"].engine
    columns = [c for m in (of_app, of_memory, of_vectors) for t in m.sorted_tables for c in t.columns]
    assert len(columns) > 120

    def longest():
        with engine.connect() as connection:
            return {
                f"{c.table.name}.{c.name}": connection.execute(
                    text(f'SELECT max(length("{c.name}"::text)) FROM {c.table.name}')
                ).scalar()
                for c in columns
            }

    def empty():
        return {n for n, length in longest().items() if not length and not n.startswith(PASSING)} - ELSEWHERE

    assert wait_until(lambda: not empty(), 30), empty()
    found = longest()
    widths = {f"{c.table.name}.{c.name}": c.type.length for c in columns if isinstance(c.type, String)}
    short = {
        n: found[n] for n, width in widths.items() if width and n not in ELSEWHERE and found[n] not in (None, width)
    }
    assert max(map(len, RUN_STATES)) <= widths["flowrunner_runs.status"]
    assert short == ROOM, "whatever has a width is filled to its end, or has room for what is written there"


@pytest.mark.parametrize("user", ["x" * 256, "é" * 128, "a\0b", "\ud800"], ids=["long", "bytes", "nul", "surrogate"])
def test_an_id_that_no_database_keeps_is_refused(user):
    with pytest.raises(FlowRunnerError, match="string of 1 to 255"):
        as_identity(user)
