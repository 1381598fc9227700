"""Retention rules: how they are written, and what they leave, on every backend."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flowrunner import EVERY_OWNER
from flowrunner.memory.purging import purge
from flowrunner.memory.retention import RetentionRule, read_rules
from flowrunner.testing.memory.samples import NOON
from tests.maintenance.conftest import said


@pytest.mark.parametrize(
    ("given", "rules"),
    [
        ("", ()),
        ("age=30d", (RetentionRule(age=timedelta(days=30)),)),
        (
            "session=guest-* age=12h newest=5; flow=support total=100 ; owner=ann",
            (
                RetentionRule(session="guest-*", age=timedelta(hours=12), newest=5),
                RetentionRule(flow="support", total=100),
                RetentionRule(owner="ann"),
            ),
        ),
        ('{"session": "a; b", "age": "2w"}', (RetentionRule(session="a; b", age=timedelta(weeks=2)),)),
        ([{"newest": 3}, {"total": "4"}], (RetentionRule(newest=3), RetentionRule(total=4))),
    ],
)
def test_rules_are_read_from_words_and_from_json(given, rules):
    assert read_rules(given) == rules
    assert read_rules(rules) == rules


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("age", "name=value"),
        ("age=30", "one of the units"),
        ("age=d", "one of the units"),
        ("age=99999999999999y", "too long"),
        ("newest=-1", "whole number"),
        ("newest=x", "whole number"),
        ("age=1d age=2d", "twice"),
        ("sessions=x", "has no 'sessions'"),
        ('[{"newest": true}]', "whole number"),
        ('[{"session": 5}]', "must be a text"),
        ("[5]", "an object"),
        ("[", "Expecting value"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said(given, reason):
    with pytest.raises(ValueError, match=reason):
        read_rules(given)


@pytest.mark.parametrize("text", ["session=a-* age=12h newest=5", "age=3d total=7", "flow=x owner=y age=90s", "age=2w"])
def test_a_rule_is_shown_as_it_is_written(text):
    (rule,) = read_rules(text)
    assert str(rule) == text


def purged(store, rules, **options):
    """Purge, and return how many messages of how many sessions each rule took; a dry run must say the same."""
    rules = read_rules(rules)
    foretold = purge(store, rules, now=NOON, dry_run=True, **options)
    before = left(store)
    done = purge(store, rules, now=NOON, **options)
    assert foretold == done
    assert sum(one.messages for one in done) == len(before) - len(left(store))
    assert all(one.messages == 0 for one in purge(store, rules, now=NOON, **options))
    return [(one.messages, one.sessions) for one in done]


def left(store):
    return [message.text for message in store.for_owner(EVERY_OWNER).fetch()]


def test_what_is_older_goes(store):
    ann, bob = store.for_owner("ann"), store.for_owner("bob")
    ann.append([said(1, days=40), said(2, days=31), said(3, days=30), said(4, days=1)])
    bob.append([said(5, days=50, session_id="s2")])
    assert purged(store, "age=30d") == [(3, 2)]
    assert left(store) == ["3", "4"]


def test_the_newest_of_each_session_stay_whatever_the_clock_says(store):
    ann = store.for_owner("ann")
    ann.append([said(1), said(2, days=5), said(3, days=9)])
    ann.append([said(4, session_id="s2")])
    store.for_owner("bob").append([said(n) for n in (5, 6, 7)])
    assert purged(store, "newest=2") == [(2, 2)]
    assert left(store) == ["2", "3", "4", "6", "7"]


def test_a_total_drops_the_oldest_of_all_sessions(store):
    ann = store.for_owner("ann")
    for n in range(10):
        ann.append([said(n, session_id=f"s{n % 3}", days=10 - n)])
    assert purged(store, "total=4") == [(6, 3)]
    assert left(store) == ["6", "7", "8", "9"]


def test_a_total_holds_exactly_where_many_have_one_moment(store):
    ann = store.for_owner("ann")
    ann.append(said(n) for n in range(10))
    ann.append([said("old", days=1)])
    assert purged(store, "total=4") == [(7, 1)]
    assert left(store) == ["6", "7", "8", "9"]


@pytest.mark.parametrize("rules", ["total=0", "newest=0", "age=0s"])
def test_nothing_may_be_kept(store, rules):
    store.for_owner("ann").append([said(1, days=1), said(2, days=2, session_id="s2")])
    assert purged(store, rules) == [(2, 2)]


def test_a_message_is_under_the_first_rule_that_is_for_it(store):
    ann = store.for_owner("ann")
    ann.append([said(n, session_id="vip-1", days=900) for n in range(3)])
    ann.append([said(n, session_id="guest-1", days=8) for n in range(3, 6)])
    ann.append([said(n, session_id="talk", days=8) for n in range(6, 9)])
    store.for_owner("bob").append([said(9, session_id="talk", days=100)])
    assert purged(store, "session=vip-*; session=guest-* age=7d; owner=ann newest=1; age=90d") == [
        (0, 0),
        (3, 1),
        (2, 1),
        (1, 1),
    ]
    assert left(store) == ["0", "1", "2", "8"]


def test_flows_are_meant_by_id_or_by_name(store):
    ann = store.for_owner("ann")
    ann.append([said(1, flow_id="id-1"), said(2, flow_id="id-2"), said(3), said(4, flow_id="id-1"), said(5)])
    assert purged(store, "flow=support newest=1; flow=id-2 newest=0", flow_names={"id-1": "support"}) == [
        (1, 1),
        (1, 1),
    ]
    assert left(store) == ["3", "4", "5"]


def test_age_number_and_total_hold_together(store):
    ann = store.for_owner("ann")
    ann.append([said(n, days=20 - n) for n in range(20)])
    ann.append([said(n, session_id="s2", days=0) for n in range(20, 23)])
    assert purged(store, "age=10d newest=8 total=9") == [(14, 1)]
    assert left(store) == [*map(str, range(14, 23))]


def test_a_session_of_many_pages(store):
    ann = store.for_owner("ann")
    for n in range(3):
        ann.append(said(f"{n}-{m}", session_id="long") for m in range(400))
    assert purged(store, "session=long newest=600") == [(600, 1)]
    assert len(left(store)) == 600


def test_a_purge_that_is_stopped_removes_no_more(store):
    ann = store.for_owner("ann")
    for n in range(5):
        ann.append([said(n, session_id=f"s{n}", days=5)])
    answers = iter([False, False, True])
    done = purge(store, read_rules("age=1d"), now=NOON, stopped=lambda: next(answers, True))
    assert done[0].messages == 2
    assert len(left(store)) == 3
