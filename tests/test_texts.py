"""JSON text and moments as text: what the standard library writes, only faster."""

from __future__ import annotations

import json
import time
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowrunner import Message, json_text
from flowrunner.memory.message import MESSAGE_FIELDS, new_id, parse_timestamp
from flowrunner.text.json_text import json_bytes
from flowrunner.text.timestamps import moment_text, timestamp_text

#: Also halves of surrogate pairs, integers of any size, and keys that are no texts.
_TEXTS = st.text(st.characters(), max_size=8)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS | st.integers(), inner, max_size=4),
    max_leaves=20,
)
_ZONES = st.sampled_from([timezone.utc, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-11))])
_MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=_ZONES)


@given(_VALUES)
def test_any_value_is_written_so_that_it_is_read_back(value):
    assert json.loads(json_text(value)) == json.loads(json.dumps(value))
    assert json_bytes(value).decode() == json_text(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_no_json_are_null(value):
    assert json_text({"a": [value, 1.5]}) == '{"a":[null,1.5]}'


@pytest.mark.parametrize("value", [datetime.now(timezone.utc), b"bytes", {1, 2}, object(), Message(text="x")])
def test_what_is_no_json_is_refused(value):
    with pytest.raises(TypeError):
        json_text({"a": value})


def test_what_holds_itself_is_refused():
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises((ValueError, RecursionError)):
        json_text(circle)


@given(_MOMENTS)
def test_moments_are_written_as_the_standard_library_does(moment):
    plain = moment.astimezone(timezone.utc).replace(tzinfo=None).isoformat(timespec="microseconds")
    assert moment_text(moment) == f"{plain}Z"
    assert timestamp_text(moment) == f"{plain.replace('T', ' ')} UTC"
    assert parse_timestamp(timestamp_text(moment)) == moment


@given(
    st.fixed_dictionaries({name: st.integers() for name in MESSAGE_FIELDS}), st.sets(st.sampled_from(MESSAGE_FIELDS))
)
def test_a_copy_of_a_message_differs_where_it_was_told_to(fields, changed):
    message = Message(**fields)
    copied = message.replace(**dict.fromkeys(changed, "new"))
    assert copied == Message(**{**fields, **dict.fromkeys(changed, "new")})
    assert type(copied) is Message and message == Message(**fields)
    with pytest.raises(AttributeError):
        copied.text = "frozen"


def test_ids_are_uuids_that_begin_with_the_time():
    before = time.time_ns() // 1_000_000
    made = [new_id() for _ in range(2_000)]
    after = time.time_ns() // 1_000_000
    assert len(set(made)) == len(made)
    for text in made:
        found = uuid.UUID(text)
        assert (str(found), found.version, found.variant) == (text, 7, uuid.RFC_4122)
        assert before <= found.int >> 80 <= after


def test_what_follows_the_time_in_an_id_is_random():
    rest = [uuid.UUID(new_id()).int & (1 << 62) - 1 for _ in range(2_000)]
    # Each of the 62 bits behind the variant is set in about half of them.
    shares = [sum(number >> bit & 1 for number in rest) / len(rest) for bit in range(62)]
    assert min(shares) > 0.4 and max(shares) < 0.6
