"""What a process asks of the ledger and the answers by itself, on both databases: statements that are written out."""

import pytest
from sqlalchemy import insert, select

from flowrunner.store.answers import AnswerStore
from flowrunner.store.engine import reading, writing
from flowrunner.store.ledger import QUEUED, RUNNING, Ledger
from flowrunner.store.tables import answers, places, processes

LATER = "2999-01-01T00:00:00.000000Z"
LONG_AGO = "1999-01-01T00:00:00.000000Z"


@pytest.fixture
def ledger(engine):
    made = Ledger(engine)
    for name in ("here", "there"):
        made.register(id=name, place=f"place of {name}", host="host", pid=1)
    return made


def accept(ledger, run_id, process, status=RUNNING, **more):
    row = {"id": run_id, "owner": "o", "flow_id": "f", "kind": "wait", "process": process, "status": status, **more}
    ledger.accept(**row)


def others(ledger, process, **more):
    return {(row.id, row.place, row.beat) for row in ledger.others(process, **more)}


def add_answer(engine, name, **values):
    row = {"id": name, "owner": "o", "run_id": name, "state": "kept", "begun": True, "size": 0, "at": LONG_AGO}
    with writing(engine) as connection:
        connection.execute(insert(answers).values(**{**row, "expires_at": LATER, **values}))


def test_a_process_lives_while_it_beats(ledger):
    accept(ledger, "r", "there")
    ledger.beat("there")
    ledger.beat("there")
    ledger.beat("nobody")
    assert others(ledger, "here") == {("there", "place of there", 2)}
    assert ledger.process("here").beat == 0


@pytest.mark.parametrize("what", ["a run", "a key", "a place"])
def test_a_process_that_has_something_is_listed_for_the_others_alone(ledger, what):
    if what == "a run":
        accept(ledger, "r", "there")
        accept(ledger, "r2", "there")
    elif what == "a key":
        add_answer(ledger.engine, "k", state="open", process="there")
    else:
        with writing(ledger.engine) as connection:
            connection.execute(insert(places).values(name="n", run_id="r", process="there"))
    assert others(ledger, "here") == {("there", "place of there", 0)}
    assert others(ledger, "there") == set()


def test_what_has_ended_and_what_was_answered_is_nobodys(ledger):
    accept(ledger, "r", "there")
    assert ledger.end("r", "success")
    add_answer(ledger.engine, "k", process="there")
    assert others(ledger, "here") == set()


def test_a_process_that_is_not_known_has_no_place_and_a_run_without_one_no_process(ledger):
    accept(ledger, "r", "gone")
    accept(ledger, "loose", None, QUEUED)
    assert others(ledger, "here") == {("gone", None, None), (None, None, None)}
    assert others(ledger, "gone") == {(None, None, None)}


def test_runs_that_wait_for_an_engine_belong_to_no_process(ledger):
    accept(ledger, "waits", None, QUEUED, engine="celery")
    accept(ledger, "loose", None, QUEUED)
    accept(ledger, "runs", "there", engine="celery")
    assert others(ledger, "here", engine=True) == {("there", "place of there", 0), (None, None, None)}
    ledger.end("loose", "cancelled")
    assert others(ledger, "here", engine=True) == {("there", "place of there", 0)}
    assert others(ledger, "here") == {("there", "place of there", 0), (None, None, None)}


def test_a_process_is_told_of_its_own_open_runs_that_are_to_stop(ledger):
    for run_id, process in (("mine", "here"), ("theirs", "there"), ("ended", "here"), ("goes on", "here")):
        accept(ledger, run_id, process)
    for run_id in ("mine", "theirs", "ended"):
        assert ledger.ask_to_stop(run_id, "it's enough: 100 % ✓")
    ledger.end("ended", "cancelled")
    assert ledger.asked_to_stop("here") == {"mine": "it's enough: 100 % ✓"}
    assert ledger.asked_to_stop("nobody") == {}


def test_expired_answers_are_removed_and_the_oldest_of_who_has_too_many(engine):
    kept = AnswerStore(engine, None, term=60, most=100, most_of_owner=10)
    add_answer(engine, "expired", expires_at=LONG_AGO)
    add_answer(engine, "in progress", expires_at=LONG_AGO, state="open")
    add_answer(engine, "just enough", owner="b", size=10)
    for number in (1, 2, 3):
        add_answer(engine, f"of a: {number}", owner="a", size=5, at=f"2020-01-0{number}T00:00:00.000000Z")
    assert kept.purge() == 2
    with reading(engine) as connection:
        found = {row.id: row.state for row in connection.execute(select(answers.c.id, answers.c.state))}
    assert found == {
        "in progress": "open",
        "just enough": "kept",
        "of a: 1": "gone",
        "of a: 2": "kept",
        "of a: 3": "kept",
    }
    assert kept.purge() == 0


def test_the_columns_of_a_process_are_all_written(engine):
    Ledger(engine).register(id="p", place="l", host="h", pid=7)
    with reading(engine) as connection:
        row = connection.execute(select(processes)).one()._asdict()
    assert row.pop("started_at").startswith("20")
    assert row == {"id": "p", "place": "l", "host": "h", "pid": 7, "beat": 0}
