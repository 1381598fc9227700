"""``memory give``: what one owner has becomes another's, also when it is interrupted anywhere."""

from __future__ import annotations

import io
import json

import pytest

from flowrunner import MemoryFailed
from flowrunner.app import create_app, runner_of
from flowrunner.identity import LOCAL_IDENTITY
from flowrunner.memory import EVERY_OWNER, Memory, digests
from flowrunner.memory.ownership import give_messages
from flowrunner.store.keys import owner_of_user
from tests.fork_server import FORK_SERVER
from tests.live_server import ROOT, clean_environment
from tests.maintenance.conftest import fill, said


def contents(store, owner):
    return [(one.session_id, one.count, one.digest) for one in digests.digest_sessions(store.for_owner(owner))]


class _Breaking:
    """The operations of a store, of which one call fails."""

    def __init__(self, operations, name, number):
        self._operations, self._name, self._left = operations, name, number

    def __getattr__(self, name):
        real = getattr(self._operations, name)

        def call(*arguments):
            if name == self._name:
                self._left -= 1
                if self._left < 0:
                    raise MemoryFailed("the plug was pulled")
            return real(*arguments)

        return call


def test_all_sessions_go_over_in_order(store, tmp_path):
    fill(store)
    before, others = contents(store, "ann"), contents(store, "bob")
    told = []
    done = give_messages(store, "ann", "carl", tmp_path / "journal", progress=told.append)
    assert contents(store, "carl") == before
    assert sum(told) == done.messages
    assert (contents(store, "ann"), contents(store, "bob")) == ([], others)
    assert done.messages == sum(count for _, count, _ in before)
    assert not (tmp_path / "journal").exists()


def test_a_session_that_is_there_already_is_merged_in_order_of_time(store, tmp_path):
    store.for_owner("ann").append([said("3", days=1), said("1", days=3)])
    store.for_owner("bob").append([said("2", days=2), said("4", days=0)])
    done = give_messages(store, "ann", "bob", tmp_path / "journal")
    assert done.merged == ["s1"]
    assert [m.text for m in store.for_owner("bob").fetch(session_id="s1")] == ["1", "2", "3", "4"]
    assert [summary.session_id for summary in store.for_owner("bob").sessions()] == ["s1"]


@pytest.mark.parametrize("step", ["append_messages", "delete_messages", "update_messages"])
@pytest.mark.parametrize("number", [0, 2])
def test_what_was_interrupted_is_finished_by_the_next_call(store, tmp_path, step, number):
    fill(store)
    store.for_owner("carl").append([said("theirs", session_id="plain", days=5)])
    before = {session: (count, digest) for session, count, digest in contents(store, "ann")}
    total = len(store.for_owner(EVERY_OWNER).fetch())
    journal = tmp_path / "journal"
    broken = Memory(_Breaking(store.operations, step, number), backend=store.backend, name="broken")
    with pytest.raises(MemoryFailed) if number == 0 or step == "append_messages" else _nothing():
        give_messages(broken, "ann", "carl", journal)
    if journal.exists():
        give_messages(store, "ann", "carl", journal)
    after = {session: (count, digest) for session, count, digest in contents(store, "carl")}
    assert after.pop("plain")[0] == before.pop("plain")[0] + 1
    assert after == before
    assert len(store.for_owner(EVERY_OWNER).fetch()) == total
    assert contents(store, "ann") == []


def _nothing():
    from contextlib import nullcontext

    return nullcontext()


class TestTheCommand:
    @pytest.fixture
    def place(self, tmp_path):
        """A data folder in which the local user has one of each."""
        runner = runner_of(create_app(data_dir=tmp_path / "data", auth="none"))
        owner, stores = LOCAL_IDENTITY.id, runner.stores
        flow = json.loads((ROOT / "examples/flows/basic-chat.json").read_text())
        stores.flows.create(owner, {**flow, "name": "Mine", "endpoint_name": "mine"})
        stores.variables.create(owner, "GREETING", "hello")
        stores.variables.create(owner, "KEY", "sk-of-local", type="Credential")
        stored = stores.files.save(owner, io.BytesIO(b"picture"), name="a.png")
        runner.run("mine", "Hello", session_id="s1")
        runner.memory_of(LOCAL_IDENTITY).append([said("look", session_id="s1", files=(stored.path,))])
        runner.close()
        return tmp_path / "data"

    def flowrunner(self, place, *arguments):
        done = FORK_SERVER.run([*arguments, "--data-dir", place], clean_environment(), ROOT)
        assert done.returncode == 0, done.stderr
        return done

    def test_keys_create_offers_it_once(self, place):
        made = self.flowrunner(place, "keys", "create", "--user", "ann o'neil")
        assert made.stdout.startswith("fr-")
        assert len(made.stdout.splitlines()) == 1
        assert "flowrunner memory give --from local --to 'ann o'\"'\"'neil'" in made.stderr
        assert "3 messages, 1 flows, 2 variables, 1 files" in made.stderr
        assert self.flowrunner(place, "keys", "create", "--user", "bob").stderr == ""

    def test_everything_goes_over(self, place):
        shown = self.flowrunner(place, "memory", "give", "--from", "local", "--to", "ann", "--dry-run").stdout
        assert shown == "would give 3 messages, 1 flows, 2 variables, 1 files, 1 runs of local to ann\n"
        done = self.flowrunner(place, "memory", "give", "--from", "local", "--to", "ann").stdout
        assert done == "gave 3 messages, 1 files, 1 flows, 2 variables, 1 runs of local to ann\n"
        runner = runner_of(create_app(data_dir=place))
        try:
            ann, stores = owner_of_user("ann"), runner.stores
            assert stores.flows.find("mine", ann).name == "Mine"
            assert stores.variables.find(ann, "KEY").value == "sk-of-local"
            [message] = [m for m in runner.memory.for_owner(ann).fetch(session_id="s1") if m.files]
            assert message.files == (f"{ann}/a.png",)
            assert stores.files.path_of(ann, message.files[0]).read_bytes() == b"picture"
            assert stores.files.list(LOCAL_IDENTITY.id) == stores.flows.list(LOCAL_IDENTITY.id) == []
            assert len(list((place / "files").rglob("*/*"))) == 1
        finally:
            runner.close()

    def test_names_that_are_taken_get_a_number_and_variables_stay(self, place):
        runner = runner_of(create_app(data_dir=place))
        ann = owner_of_user("ann")
        flow = json.loads((ROOT / "examples/flows/basic-chat.json").read_text())
        runner.stores.flows.create(ann, {**flow, "name": "Mine", "endpoint_name": "mine"})
        runner.stores.variables.create(ann, "GREETING", "theirs")
        runner.stores.files.save(ann, io.BytesIO(b"theirs"), name="a.png")
        runner.close()
        done = self.flowrunner(place, "memory", "give", "--from", "local", "--to", "ann")
        assert "The flow Mine was renamed to Mine (1) (mine-1)." in done.stderr
        assert "The variable GREETING was not transferred" in done.stderr
        runner = runner_of(create_app(data_dir=place))
        try:
            assert runner.stores.flows.find("mine-1", ann) is not None
            assert runner.stores.variables.find(ann, "GREETING").value == "theirs"
            [message] = [m for m in runner.memory.for_owner(ann).fetch(session_id="s1") if m.files]
            assert runner.stores.files.path_of(ann, message.files[0]).read_bytes() == b"picture"
        finally:
            runner.close()


class TestImportForAnother:
    def test_what_somebody_else_has_is_stored_as_a_copy(self, store):
        from flowrunner.memory.transfer import export_lines, import_lines

        fill(store)
        lines = list(export_lines(store.for_owner("ann")))
        done = import_lines(store, lines, owner="carl")
        assert done.stored == len(lines)
        texts = [(m.session_id, m.text) for m in store.for_owner("carl").fetch()]
        assert texts == [(m.session_id, m.text) for m in store.for_owner("ann").fetch()]
        again = import_lines(store, lines, owner="carl", skip_existing=True)
        assert (again.stored, again.skipped) == (0, len(lines))

    @pytest.mark.parametrize("form", ["list", "object", "lines", "pretty lines"])
    def test_rows_of_the_monitor_api(self, store, form):
        from flowrunner.engine.shapes import message_row
        from flowrunner.memory.transfer import import_lines

        store.for_owner("ann").append([said("one", files=("x/a.png",)), said("two", error=True, category="error")])
        kept = store.for_owner("ann").fetch()
        rows = [message_row(message) for message in kept]
        text = {
            "list": json.dumps(rows),
            "object": json.dumps({"session_id": "s1", "messages": rows}),
            "lines": "\n".join(map(json.dumps, rows)),
            "pretty lines": json.dumps(rows, indent=2),
        }[form]
        store.for_owner("ann").delete()
        import_lines(store, text.encode().splitlines(keepends=True), owner="bob")
        assert [m.replace(owner="ann") for m in store.for_owner("bob").fetch()] == kept
