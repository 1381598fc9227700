"""The run log: what is kept, how it is shown, its bounds, and that it never stands in the way."""

import json
import logging
import threading
import time
import uuid
from collections import UserDict

import pytest
from sqlalchemy import func, select, text

from flowrunner.engine.events import EventStream
from flowrunner.engine.result import RunResult, RunStart, VertexResult
from flowrunner.errors import ComponentFailed, NotFound
from flowrunner.memory import EVERY_OWNER
from flowrunner.memory.message import Message, make_properties, new_id, utc_now
from flowrunner.session import Session
from flowrunner.store.engine import reading, writing
from flowrunner.store.masking import MASK, MASK_LONG, TEXT_LIMIT
from flowrunner.store.runlog import RunLog
from flowrunner.store.tables import runs
from tests.store.conftest import make_settings

FLOW = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def open_log(engine, tmp_path):
    opened = []

    def make(known_secrets=lambda: (), **settings):
        opened.append(RunLog(engine, make_settings(tmp_path, **settings), known_secrets))
        return opened[-1]

    yield make
    for log in opened:
        log.close()


@pytest.fixture
def log(open_log):
    return open_log()


class Play:
    """Plays runs to a log, as the engine would."""

    def __init__(self, log, owner="ann", flow_id=FLOW, session="s-b"):
        self.run_id = new_id()
        self.events = EventStream(self.run_id, log.observe)
        self.session = Session(session, "payload")
        self.start = RunStart(
            run_id=self.run_id,
            flow_id=flow_id,
            flow_name="echo",
            content_hash="h",
            owner=owner,
            started_at=utc_now(),
            input_value="hi",
            session=self.session,
            warnings=("one",),
        )
        self.results = []
        self.events.send("run_started", start=self.start)

    def message(self, text, **fields):
        return Message(
            text=text,
            sender="Machine",
            sender_name="AI",
            session_id=self.session.id,
            id=new_id(),
            flow_id=FLOW,
            run_id=self.run_id,
            properties=make_properties(source={"id": "P-1", "display_name": "P", "source": "P"}),
            session_metadata={"graph_run_id": self.run_id},
            **fields,
        )

    def vertex(self, vertex_id, outputs=None, inputs=None, error=None, kind="chat", session=None, **more):
        result = VertexResult(
            vertex_id=vertex_id,
            type=vertex_id.split("-")[0],
            display_name="Name",
            session=session or self.session,
            status="error" if error else "success",
            inputs=inputs or {"sender": "User"},
            outputs=outputs or {},
            kind=kind,
            started_at=utc_now(),
            duration=0.001,
            error=error,
            **more,
        )
        self.results.append(result)
        self.events.send("vertex_started", vertex_id=vertex_id)
        self.events.send("vertex_finished", result=result)
        return self

    def finish(self):
        result = RunResult(self.start, self.session, self.results, self.results, (), 0.002)
        self.events.send("run_finished", result=result)
        return self

    def fail(self, error):
        self.events.send("run_failed", error=error, start=self.start)
        return self


def echo(log, text="hello", **more):
    play = Play(log, **more)
    play.vertex("ChatInput-aaaaa", {"message": play.message(text)}, {"input_value": text, "files": []})
    return play.vertex("ChatOutput-bbbbb", {"message": play.message(text)}).finish()


class TestBuilds:
    def test_the_newest_of_each_vertex_is_shown_with_what_an_answer_shows(self, log):
        echo(log, "first")
        play = echo(log, "second")
        builds = log.builds(FLOW, "ann")
        assert {name: len(found) for name, found in builds.items()} == {"ChatInput-aaaaa": 1, "ChatOutput-bbbbb": 1}
        (build,) = builds["ChatInput-aaaaa"]
        assert build["data"] == play.results[0].to_json()
        assert build["artifacts"] == build["data"]["artifacts"]
        assert (build["id"], build["flow_id"], build["job_id"], build["valid"]) == (
            "ChatInput-aaaaa",
            FLOW,
            play.run_id,
            True,
        )
        assert str(uuid.UUID(build["build_id"])) == build["build_id"] and build["timestamp"].endswith("Z")
        assert log.builds(FLOW, "ann")["ChatInput-aaaaa"] == [build]

    def test_values_of_every_kind_come_back_as_answers_show_them(self, log):
        outputs = {"text": "t", "data": {"a": [1, None, 2.5]}, "list": ["x"], "none": None, "thing": object()}
        play = Play(log).vertex("Any-1", outputs, kind=None).finish()
        (build,) = log.builds(FLOW, "ann")["Any-1"]
        assert build["data"]["outputs"]["data"] == {"message": {"a": [1, None, 2.5]}, "type": "object"}
        expected = play.results[0].to_json()
        for name in ("text", "data", "list"):
            assert build["data"]["artifacts"][name] == expected["artifacts"][name]
        assert build["data"]["outputs"]["thing"]["message"] == "object"

    def test_all_attempts_are_shown_on_request_newest_first_failed_ones_too(self, log):
        echo(log, "one")
        failed = Play(log).vertex("ChatInput-aaaaa", error="boom").fail(ComponentFailed("ChatInput-aaaaa", "C", "boom"))
        assert [b["valid"] for b in log.builds(FLOW, "ann")["ChatInput-aaaaa"]] == [True]
        every = log.builds(FLOW, "ann", every=True)["ChatInput-aaaaa"]
        assert [(b["valid"], b["params"]) for b in every] == [(False, "boom"), (True, None)]
        assert every[0]["job_id"] == failed.run_id

    def test_deleting_takes_the_owners_builds_and_leaves_transactions(self, log):
        echo(log)
        echo(log, owner="bob")
        assert log.delete_builds(FLOW, "carl") == 0
        assert log.delete_builds(FLOW, "ann") == 2
        assert log.builds(FLOW, "ann", every=True) == {}
        assert log.transactions(FLOW, "ann")["total"] == 2
        assert len(log.builds(FLOW, "bob")) == 2
        echo(log)
        assert len(log.builds(FLOW, "ann", every=True)["ChatInput-aaaaa"]) == 1


class TestTransactions:
    def test_a_page_is_newest_first_with_totals(self, log):
        echo(log, "first")
        echo(log, "second")
        page = log.transactions(FLOW, "ann", page=1, size=3)
        assert [item["vertex_id"][:8] for item in page["items"]] == ["ChatOutp", "ChatInpu", "ChatOutp"]
        assert {k: v for k, v in page.items() if k != "items"} == {"total": 4, "page": 1, "size": 3, "pages": 2}
        item = page["items"][1]
        assert item == {
            "id": item["id"],
            "timestamp": item["timestamp"],
            "vertex_id": "ChatInput-aaaaa",
            "target_id": None,
            "inputs": {"input_value": "second", "files": []},
            "outputs": {"message": {"message": "second", "type": "text"}},
            "status": "success",
        }
        second = log.transactions(FLOW, "ann", page=2, size=3)
        assert [item["outputs"]["message"]["message"] for item in second["items"]] == ["first"]
        assert len({item["id"] for item in page["items"] + second["items"]}) == 4

    def test_pages_cut_through_runs_of_any_length_and_through_one_under_way(self, log):
        for length in (3, 1, 0, 7, 2):
            play = Play(log)
            for n in range(length):
                play.vertex(f"V-{length}-{n}")
                log.flush()
            play.finish()
        Play(log).vertex("last-0").vertex("last-1")
        every = [item["vertex_id"] for item in log.transactions(FLOW, "ann", size=100)["items"]]
        assert every[:5] == ["last-1", "last-0", "V-2-1", "V-2-0", "V-7-6"] and every[-1] == "V-3-0"
        assert len(every) == 15
        for size in (1, 2, 4, 7, 14, 15):
            pages = [log.transactions(FLOW, "ann", page=n + 1, size=size) for n in range(-(-15 // size))]
            assert [item["vertex_id"] for page in pages for item in page["items"]] == every
            assert {(page["total"], page["pages"]) for page in pages} == {(15, len(pages))}

    def test_past_the_end_and_of_others_there_is_nothing(self, log):
        echo(log)
        assert log.transactions(FLOW, "ann", page=9) == {"items": [], "total": 2, "page": 9, "size": 50, "pages": 1}
        nothing = {"items": [], "total": 0, "page": 1, "size": 7, "pages": 0}
        assert log.transactions(FLOW, "bob", page=3, size=7) == nothing
        assert log.transactions(new_id(), "ann", size=7) == nothing
        assert log.transactions(FLOW, EVERY_OWNER)["total"] == 2

    def test_a_failure_shows_neither_inputs_nor_outputs(self, log):
        Play(log).vertex("Boom-1", error="boom", inputs={"a": "b"}).fail(ComponentFailed("Boom-1", "Boom", "boom"))
        (item,) = log.transactions(FLOW, "ann")["items"]
        assert (item["status"], item["inputs"], item["outputs"]) == ("error", {}, None)
        assert "boom" not in json.dumps(item)

    def test_long_texts_are_cut(self, log):
        echo(log, "z" * 20000)
        items = log.transactions(FLOW, "ann")["items"]
        assert items[0]["outputs"]["message"]["message"] == "z" * TEXT_LIMIT + "..."
        assert items[1]["inputs"]["input_value"] == "z" * TEXT_LIMIT + "..."

    def test_odd_names_and_texts_are_kept(self, log):
        odd = 'a"\\\0\ud800 é😀'
        play = Play(log, session=odd)
        play.vertex(odd, {odd: play.message(odd)}, {odd: odd}).finish()
        (item,) = log.transactions(FLOW, "ann")["items"]
        assert (item["vertex_id"], item["inputs"]) == (odd, {odd: odd})
        assert item["outputs"] == {odd: {"message": odd, "type": "text"}}
        assert log.runs("ann", session_id=odd)[0]["session"]["id"] == odd


class TestSecrets:
    def test_none_is_kept_or_shown(self, log, engine):
        play = Play(log)
        data = {"api_key": "sk-abcdefghijklmnopqrstuvwxyz", "nested": {"token": "tok", "list": [{"password": "0123"}]}}
        play.vertex(
            "Sec-1",
            {"output": data},
            {"api_key": "sk-zyxwvutsrqponmlk", "field": "hush hush", "plain": "x"},
            secrets=frozenset({"field"}),
            secret_values=("hush hush",),
            kind=None,
        )
        play.vertex("ChatOutput-1", {"message": play.message("it is hush hush, or sk-zyxwvutsrqponmlk")}).finish()
        first, second = reversed(log.transactions(FLOW, "ann")["items"])
        assert first["inputs"] == {"api_key": MASK_LONG, "field": MASK, "plain": "x"}
        assert first["outputs"]["output"]["message"] == {
            "api_key": MASK_LONG,
            "nested": {"token": MASK, "list": [{"password": MASK}]},
        }
        assert second["outputs"]["message"]["message"] == f"it is {MASK}, or {MASK}"
        with reading(engine) as connection:
            kept = str(connection.execute(select(runs.c.vertices)).all())
        shown = json.dumps(log.builds(FLOW, "ann"))
        for secret in ("sk-", '"tok"', "0123", "hush"):
            assert secret not in shown and secret not in kept

    def test_values_of_variables_are_left_out(self, open_log):
        log = open_log(known_secrets=lambda: ("open sesame",))
        echo(log, "say open sesame")
        assert log.transactions(FLOW, "ann")["items"][0]["outputs"]["message"]["message"] == f"say {MASK}"

    @pytest.mark.parametrize(
        "inputs",
        [
            {"name": "token", "value": "hunter2hunter2"},
            {"headers": [{"key": "X-Api-Key", "value": "hunter2hunter2"}]},
            {"headers": [["auth", "hunter2hunter2"]]},
            {"text": "curl -u a:hunter2 x"},
            {"text": '[{"name": "auth", "value": "hunter2"}]'},
        ],
    )
    def test_rows_of_name_and_value_are_left_out(self, log, engine, inputs):
        play = Play(log)
        play.vertex("A-1", {"message": play.message("hi")}, inputs).finish()
        log.flush()
        with reading(engine) as connection:
            kept = connection.execute(select(runs.c.vertices)).scalars().all()
        assert len(kept) == 1 and "hunter2" not in kept[0]

    @pytest.mark.parametrize(
        "fields",
        [
            {"properties": {"api_key": "hunter2"}},
            {"properties": make_properties(icon="sk-hunter2hunter2hunter2")},
            {"properties": make_properties(source={"id": "a", "display_name": "token: hunter2", "source": None})},
            {"properties": make_properties(source={"id": "a", "password": "hunter2"})},
            {"properties": make_properties(targets=[{"password": "hunter2"}])},
            {"properties": make_properties(source={"name": "auth", "value": "hunter2"})},
            {"properties": make_properties(usage={"tokens": "hunter2hunter2"})},
            {"properties": make_properties(targets=["X-Api-Key", "hunter2"])},
            {"session_metadata": {"token": "hunter2"}},
            {"context_id": "password: hunter2"},
            {"sender": "password: hunter2"},
            {"category": "password: hunter2"},
        ],
    )
    def test_no_field_of_a_message_keeps_one(self, log, engine, fields):
        play = Play(log)
        play.vertex("A-1", {"message": play.message("hi").replace(**fields)}).finish()
        log.flush()
        with reading(engine) as connection:
            kept = connection.execute(select(runs.c.vertices)).scalars().all()
        assert len(kept) == 1 and "hunter2" not in kept[0]


class TestRuns:
    def test_a_run_is_shown_with_its_session_and_vertices(self, log):
        play = Play(log)
        other = Session("elsewhere", "component", "ChatOutput-1")
        play.vertex("ChatInput-1").vertex("ChatOutput-1", session=other).finish()
        (listed,) = log.runs("ann")
        run = log.run(play.run_id, "ann")
        assert listed.items() <= run.items()
        assert (run["status"], run["content_hash"], run["flow_name"], run["warnings"]) == (
            "success",
            "h",
            "echo",
            ["one"],
        )
        assert run["session"] == play.session.to_json() and run["duration"] > 0 and run["error"] is None
        assert [(v["id"], v["status"], v["session"]["source"]) for v in run["vertices"]] == [
            ("ChatInput-1", "success", "payload"),
            ("ChatOutput-1", "success", "component"),
        ]

    def test_failed_and_cancelled_runs_say_why(self, log):
        failed = Play(log).vertex("Boom-1", error="boom").fail(ComponentFailed("Boom-1", "Boom", "boom"))
        stopped = Play(log)
        stopped.events.send("run_cancelled", reason="the client left", start=stopped.start)
        assert log.run(failed.run_id, "ann")["error"]["code"] == "component_failed"
        assert log.run(stopped.run_id, "ann")["error"] == {"code": "run_cancelled", "message": "the client left"}
        assert [r["status"] for r in log.runs("ann")] == ["cancelled", "error"]

    def test_a_run_under_way_is_shown_as_running_until_it_ends(self, log):
        play = Play(log).vertex("ChatInput-1")
        assert log.run(play.run_id, "ann")["status"] == "running"
        assert log.transactions(FLOW, "ann")["total"] == 1
        play.finish()
        assert [(r["id"], r["status"]) for r in log.runs("ann")] == [(play.run_id, "success")]
        assert len(log.run(play.run_id, "ann")["vertices"]) == 1

    def test_builds_deleted_while_a_run_is_under_way_take_what_there_is(self, log):
        play = Play(log).vertex("A-1")
        assert log.delete_builds(FLOW, "ann") == 1
        play.vertex("A-1").vertex("B-1").finish()
        assert {name: len(found) for name, found in log.builds(FLOW, "ann", every=True).items()} == {"B-1": 1, "A-1": 1}
        assert log.transactions(FLOW, "ann")["total"] == 3
        assert log.delete_builds(FLOW, "ann") == 2
        assert log.delete_builds(FLOW, "ann") == 0

    def test_lists_can_be_narrowed_and_paged(self, log):
        plays = [echo(log, session=f"s{n % 2}") for n in range(5)]
        echo(log, owner="bob", flow_id=new_id())
        ids = [play.run_id for play in reversed(plays)]
        assert [r["id"] for r in log.runs("ann", limit=2)] == ids[:2]
        assert [r["id"] for r in log.runs("ann", limit=2, before=ids[1])] == ids[2:4]
        assert [r["id"] for r in log.runs("ann", session_id="s1")] == [ids[1], ids[3]]
        assert log.runs("ann", status="error") == [] and log.runs("bob", flow_id=FLOW) == []
        assert len(log.runs(EVERY_OWNER)) == 6

    def test_anothers_run_is_not_there(self, log):
        play = echo(log)
        for run_id, owner in ((play.run_id, "bob"), (new_id(), "ann")):
            with pytest.raises(NotFound):
                log.run(run_id, owner)


class TestBounds:
    def test_builds_are_kept_within_bounds_per_vertex_and_in_all(self, open_log, engine):
        log = open_log(RUN_LOG_PER_VERTEX=3, RUN_LOG_TOTAL=40)
        for n in range(60):
            echo(log, str(n))
            log.flush()
        every = log.builds(FLOW, "ann", every=True)
        assert [len(found) for found in every.values()] == [3, 3]
        assert every["ChatInput-aaaaa"][0]["artifacts"]["message"] == "59"
        assert 40 <= log.transactions(FLOW, "ann")["total"] < 50
        with reading(engine) as connection:
            assert connection.execute(select(func.count()).select_from(runs)).scalar() < 50

    def test_a_run_that_loops_keeps_its_newest_steps_within_the_bound(self, open_log, engine):
        log = open_log(RUN_LOG_PER_VERTEX=1000, RUN_LOG_TOTAL=20)
        echo(log, "before")
        play = Play(log)
        for n in range(33):
            play.vertex("Loop-1", {"message": play.message(str(n))})
            if n == 3:
                assert log.delete_builds(FLOW, "ann") == 6
            log.flush()
        play.finish()
        echo(log, "after")
        page = log.transactions(FLOW, "ann", size=100)
        texts = [item["outputs"]["message"]["message"] for item in page["items"]]
        assert texts[:2] == ["after", "after"] and texts[2:] == [str(n) for n in range(32, 34 - len(texts), -1)]
        assert 20 <= page["total"] == len(texts) <= 24
        ids = [item["id"] for item in page["items"]]
        assert len(set(ids)) == len(ids)
        builds = log.builds(FLOW, "ann", every=True)
        assert [build["build_id"] for build in builds["Loop-1"]] == ids[2:]
        assert log.delete_builds(FLOW, "ann") == len(ids) and log.builds(FLOW, "ann") == {}
        assert len(log.run(play.run_id, "ann")["vertices"]) == 33
        with reading(engine) as connection:
            assert len(connection.execute(select(runs.c.vertices).where(runs.c.vertices.is_not(None))).all()) == 2

    def test_a_full_queue_drops_and_says_so(self, open_log, monkeypatch, caplog):
        monkeypatch.setattr("flowrunner.store.runlog._MOST_WAITING", 10)
        log = open_log()
        log._closing.set()
        for _ in range(5):
            echo(log)
        with caplog.at_level(logging.WARNING, "flowrunner"):
            log.flush()
        assert "10 events were dropped" in caplog.text
        assert len(log.runs("ann")) == 3


class TestNeverInTheWay:
    def test_the_thread_writes_by_itself_and_goes_when_there_is_nothing(self, log, engine, monkeypatch):
        monkeypatch.setattr("flowrunner.store.runlog._IDLE", 0.05)
        for _ in range(2):
            echo(log)
            deadline = time.monotonic() + 10
            while log._thread is not None:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        with reading(engine) as connection:
            assert connection.execute(select(func.sum(runs.c.steps))).scalar() == 4

    def test_what_cannot_be_serialised_loses_that_entry_alone(self, log, caplog):
        class Odd(UserDict):
            def items(self):
                raise RuntimeError("changed while it was read")

        play = Play(log)
        with caplog.at_level(logging.WARNING, "flowrunner"):
            play.vertex("A-1", {"x": Odd(a=1)}).vertex("B-1").finish()
            assert log.transactions(FLOW, "ann")["total"] == 1
        assert "RuntimeError" in caplog.text
        assert len(log.run(play.run_id, "ann")["vertices"]) == 2

    def test_a_database_that_is_away_is_tried_again(self, log, engine, caplog):
        with writing(engine) as connection:
            connection.execute(text("ALTER TABLE flowrunner_runs RENAME TO away"))
        try:
            with caplog.at_level(logging.WARNING, "flowrunner"):
                play = echo(log)
                log.flush()
        finally:
            # Other tests have that database, too.
            with writing(engine) as connection:
                connection.execute(text("ALTER TABLE away RENAME TO flowrunner_runs"))
        assert log.run(play.run_id, "ann")["status"] == "success"
        assert "trying again" in caplog.text

    def test_many_threads_lose_nothing(self, log):
        threads = [threading.Thread(target=lambda: [echo(log) for _ in range(25)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(log.runs("ann", limit=1000)) == 200
        assert log.transactions(FLOW, "ann")["total"] == 400

    def test_closing_writes_everything_and_can_be_repeated(self, open_log, engine):
        log = open_log()
        for _ in range(10):
            echo(log)
        log.close()
        log.close()
        with reading(engine) as connection:
            assert connection.execute(select(func.count()).select_from(runs)).scalar() == 10

    def test_the_end_of_a_process_and_of_its_forked_children_writes_everything(self, run_python, tmp_path):
        code = """
import os, sys
from flowrunner.settings import SETTINGS, read_settings
from flowrunner.store.engine import close_database, database_engine
from flowrunner.store.runlog import RunLog
from flowrunner.store.runrows import RowMaker
from flowrunner.store.tables import SCHEMA
from tests.store.test_runlog import echo
settings = read_settings(SETTINGS, config={"FLOWRUNNER_DATA_DIR": sys.argv[1]}, environ={})
engine = database_engine(None, settings)
SCHEMA.ensure(engine)
log = RunLog(engine, settings)
echo(log)
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        echo(log)
        sys.exit(0)
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
echo(log)
"""
        count = """
import sys, sqlite3
connection = sqlite3.connect(sys.argv[1] + "/flowrunner.db")
print(connection.execute("SELECT count(*), count(DISTINCT id) FROM flowrunner_runs").fetchone())
connection.close()
"""
        run_python(code, tmp_path)
        assert run_python(count, tmp_path) == ["(5, 5)"]
