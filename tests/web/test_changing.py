"""Editing, renaming, merging and deleting, in every order and while runs are writing."""

import random
import threading
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.web.site import BACKENDS, open_site

SESSIONS = ["one", "two", "a/b", "a//b", "100%"]
sessions = st.sampled_from(SESSIONS)


def address(session):
    return f"/api/v1/monitor/messages/session/{quote(session, safe='')}"


class Conversations(RuleBasedStateMachine):
    """A conversation store behind HTTP, and beside it what it should hold: messages by id, as (session, text)."""

    site = flow = None

    @initialize()
    def begin(self):
        ids = [message["id"] for message in self.site.messages("ann", "?limit=200")]
        self.site.ask("ann", "DELETE", "/api/v1/monitor/messages", 204, json=ids)
        self.expected = {}
        self.said = 0

    @rule(session=sessions)
    def say(self, session):
        self.said += 1
        self.site.say("ann", self.flow, f"word {self.said}", session)
        new = [m for m in self.site.messages("ann", "?limit=200") if m["id"] not in self.expected]
        assert [(m["session_id"], m["text"]) for m in new] == [(session, f"word {self.said}")] * 2
        self.expected.update({m["id"]: (session, m["text"]) for m in new})

    @rule(data=st.data())
    def edit(self, data):
        if self.expected:
            chosen = data.draw(st.sampled_from(sorted(self.expected)))
            session, text = self.expected[chosen]
            self.site.ask("ann", "PUT", f"/api/v1/monitor/messages/{chosen}", json={"text": f"{text}!"})
            self.expected[chosen] = (session, f"{text}!")

    @rule(old=sessions, new=sessions)
    def rename(self, old, new):
        there = [key for key, (session, _) in self.expected.items() if session == old]
        path = f"{address(old)}?new_session_id={quote(new, safe='')}"
        moved = self.site.ask("ann", "PATCH", path, 200 if there else 404)
        if there:
            assert {m["id"] for m in moved} == set(there) and len(moved) == len(there)
        self.expected.update({key: (new, self.expected[key][1]) for key in there})

    @rule(session=sessions)
    def delete_session(self, session):
        self.site.ask("ann", "DELETE", address(session), 204)
        self.expected = {key: value for key, value in self.expected.items() if value[0] != session}

    @rule(some=st.lists(sessions, max_size=3))
    def delete_sessions(self, some):
        self.site.ask("ann", "DELETE", "/api/v1/monitor/messages/sessions", json=some)
        self.expected = {key: value for key, value in self.expected.items() if value[0] not in some}

    @rule(data=st.data())
    def delete_messages(self, data):
        chosen = data.draw(st.lists(st.sampled_from(sorted(self.expected)), max_size=3)) if self.expected else []
        self.site.ask("ann", "DELETE", "/api/v1/monitor/messages", 204, json=chosen)
        for key in chosen:
            self.expected.pop(key, None)

    @invariant()
    def the_store_holds_what_it_should(self):
        found = self.site.messages("ann", "?limit=200")
        assert {m["id"]: (m["session_id"], m["text"]) for m in found} == self.expected
        assert len(found) == len(self.expected)
        summary = self.site.sessions("ann", "?view=summary")["sessions"]
        counts = {}
        for session, _ in self.expected.values():
            counts[session] = counts.get(session, 0) + 1
        assert {s["session_id"]: s["count"] for s in summary} == counts
        for session in counts:
            times = [m["timestamp"] for m in found if m["session_id"] == session]
            assert times == sorted(times)


@pytest.mark.parametrize("memory", BACKENDS)
def test_any_order_of_changes_leaves_what_it_should(tmp_path, memory):
    with open_site(tmp_path, memory=memory) as site:
        site.add_user("ann")

        class Machine(Conversations):
            pass

        Machine.site, Machine.flow = site, site.flow("ann")
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=12,
                stateful_step_count=15,
                deadline=None,
                database=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )


WRITERS, TURNS = 4, 12


@pytest.mark.parametrize("memory", BACKENDS)
def test_nothing_is_lost_or_doubled_while_runs_write(tmp_path, memory):
    """Writers talk; meanwhile sessions are renamed, merged and dropped, and messages edited and deleted."""
    with open_site(tmp_path, memory=memory) as site:
        site.add_user("ann")
        flow = site.flow("ann")
        failures, edited, deleted = [], {}, set()
        writing = threading.Event()
        writing.set()

        def write(writer):
            try:
                for turn in range(TURNS):
                    site.say("ann", flow, f"{writer} {turn}", f"s{(writer + turn) % 3}")
                    site.say("ann", flow, f"dropped {writer} {turn}", "dropped")
            except BaseException as error:
                failures.append(error)

        def change():
            chance = random.Random(7)
            try:
                while writing.is_set():
                    choose_change(site, chance, edited, deleted)
            except BaseException as error:
                failures.append(error)

        writers = [threading.Thread(target=write, args=(n,)) for n in range(WRITERS)]
        changer = threading.Thread(target=change)
        for thread in (*writers, changer):
            thread.start()
        for thread in writers:
            thread.join()
        writing.clear()
        changer.join()
        assert not failures, failures[0]
        check(every_message(site), edited, deleted)


def choose_change(site, chance, edited, deleted):
    kept = [m for m in site.messages("ann", "?limit=200") if m["session_id"] != "dropped" and m["id"] not in deleted]
    what = chance.choice(["edit", "rename", "rename", "delete", "drop"])
    if what == "drop":
        site.ask("ann", "DELETE", address("dropped"), 204)
    elif kept and what == "edit":
        chosen = chance.choice(kept)["id"]
        edited[chosen] = f"edited {chosen}"
        site.ask("ann", "PUT", f"/api/v1/monitor/messages/{chosen}", json={"text": edited[chosen]})
    elif kept and what == "delete":
        chosen = chance.choice(kept)["id"]
        deleted.add(chosen)
        site.ask("ann", "DELETE", "/api/v1/monitor/messages", 204, json=[chosen])
    elif kept:
        old, new = chance.choice(kept)["session_id"], f"m{chance.randrange(3)}"
        answer = site.call("ann", "PATCH", f"{address(old)}?new_session_id={new}")
        assert answer.status_code in (200, 404)


def every_message(site):
    found, cursor = [], ""
    while True:
        answer = site.call("ann", "GET", f"/api/v1/monitor/messages?limit=200{cursor}")
        found = answer.get_json() + found
        if "X-Next-Cursor" not in answer.headers:
            return found
        cursor = f"&cursor={answer.headers['X-Next-Cursor']}"


def check(found, edited, deleted):
    ids = [m["id"] for m in found]
    assert len(ids) == len(set(ids)) and not deleted & set(ids)
    for message in found:
        if message["id"] in edited:
            assert message["text"] == edited[message["id"]] and message["edit"]
    kept = [m for m in found if m["session_id"] != "dropped"]
    # Two messages a turn; those deleted and edited are known by id.
    assert len(kept) == WRITERS * TURNS * 2 - len(deleted)
    texts = [m["text"] for m in kept if m["id"] not in edited]
    assert all(texts.count(text) <= 2 for text in texts)
    for session in {m["session_id"] for m in kept}:
        rows = [m for m in kept if m["session_id"] == session]
        assert [m["timestamp"] for m in rows] == sorted(m["timestamp"] for m in rows)
        for writer in range(WRITERS):
            turns = [int(m["text"].split()[1]) for m in rows if m["text"].startswith(f"{writer} ")]
            assert turns == sorted(turns)
