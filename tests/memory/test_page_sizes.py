"""Pages of messages are bounded by what the messages hold, not by their number alone."""

import pytest

from flowrunner.errors import NotFound
from flowrunner.memory.message import Message, new_id
from flowrunner.memory.paging import newest_within, pages_back, pages_forward


class Watched:
    """Messages of an owner, and how much each fetch brought."""

    def __init__(self, sizes):
        self.texts = ["x" * size for size in sizes]
        self.ids = [new_id() for _ in sizes]
        self.fetched = []

    def fetch(self, *, limit=None, offset=0, before=None, after=None, **filters):
        ids = self.ids
        if before is not None:
            ids = ids[: ids.index(before)]
        if after is not None:
            ids = ids[ids.index(after) + 1 :][:limit]
        else:
            end = len(ids) - offset
            ids = ids[max(0, end - limit) : end]
        self.fetched.append(sum(len(self.texts[self.ids.index(i)]) for i in ids))
        return [
            Message(id=i, session_id="s", sender="User", sender_name="a", text=self.texts[self.ids.index(i)])
            for i in ids
        ]

    def sessions(self, **filters):
        class Summary:
            count = len(self.ids)

        return [Summary]


@pytest.mark.parametrize("number", [0, 1, 25, 26, 27, 100, 101, 130, 500])
def test_small_messages_are_a_page_by_number(number):
    memory = Watched([10] * 130)
    found, cut = newest_within(memory, number, 10**6)
    assert [m.id for m in found] == memory.ids[-number:] * (number > 0)
    assert not cut and len(memory.fetched) <= 4


def test_large_messages_are_a_page_by_what_they_hold_and_the_next_goes_on():
    memory, seen, before = Watched([100_000] * 60), [], None
    while True:
        found, cut = newest_within(memory, 50, 1_000_000, before=before)
        assert len(found) == 9 if cut else found
        seen, before = [m.id for m in found] + seen, found[0].id
        if not cut and before == memory.ids[0]:
            break
    assert seen == memory.ids


def test_one_message_that_is_larger_than_a_page_is_one():
    memory = Watched([10, 5000, 10, 10])
    found, cut = newest_within(memory, 4, 2000)
    assert ([len(m.text) for m in found], cut) == ([10, 10], True)
    found, cut = newest_within(memory, 4, 2000, before=found[0].id)
    assert ([len(m.text) for m in found], cut) == ([5000], True)


def test_the_offset_is_skipped_once():
    memory = Watched([10] * 100)
    found, _ = newest_within(memory, 60, 10**6, offset=7)
    assert [m.id for m in found] == memory.ids[33:93]


@pytest.mark.parametrize("walk", [pages_back, pages_forward])
def test_a_walk_over_large_messages_fetches_few_at_a_time(walk):
    memory = Watched([1_000_000] * 80)
    pages = list(walk(memory))
    if walk is pages_back:
        pages.reverse()
    assert [m.id for page in pages for m in page] == memory.ids
    assert max(memory.fetched) <= 26_000_000
    assert max(memory.fetched[3:]) <= 13_000_000


@pytest.mark.parametrize("walk", [pages_back, pages_forward])
def test_a_walk_over_small_ones_takes_larger_pages_by_and_by(walk):
    memory = Watched([10] * 3000)
    pages = list(walk(memory))
    if walk is pages_back:
        pages.reverse()
    assert [m.id for page in pages for m in page] == memory.ids
    assert len(pages) < 16


class Vanishing(Watched):
    """Messages of which somebody deletes the oldest that were read, once."""

    def fetch(self, *, before=None, **more):
        if before is not None and before not in self.ids:
            raise NotFound("there is no such message")
        found = super().fetch(before=before, **more)
        if len(self.fetched) == 1:
            for message in found[: self.deleted]:
                place = self.ids.index(message.id)
                del self.ids[place], self.texts[place]
        return found


@pytest.mark.parametrize("deleted", [1, 3, 25, 26])
def test_a_list_goes_on_where_messages_were_deleted_meanwhile(deleted):
    memory = Vanishing([10] * 100)
    memory.deleted, ids = deleted, list(memory.ids)
    found, cut = newest_within(memory, 60, 10**6)
    # Of a page that is gone as a whole nobody knows what stood before it.
    assert [m.id for m in found] == ids[-60 if deleted < 26 else -26 :]
    assert not cut
