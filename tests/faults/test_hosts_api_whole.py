"""The tests of what owners see once more, each request sent to either of two servers."""

import pytest

from tests.web.test_isolation import (
    test_a_key_for_reading_changes_nothing,
    test_a_key_of_one_flow_reaches_that_flow_alone,
    test_a_key_of_two_flows_sees_both_in_order,
    test_an_admin_reads_everybodys_and_changes_only_as_a_named_owner,
    test_keys_over_http,
    test_nobody_else_names_an_owner,
    test_nothing_of_another_is_seen_or_touched,
    test_pages_of_a_key_of_two_flows_lose_nothing_where_times_run_against_the_order,
    test_the_same_names_are_ones_own,
    test_what_another_adds_changes_none_of_ones_answers,
    test_what_is_open_tells_nothing_of_anybody,
)

__all__ = [
    "test_a_key_for_reading_changes_nothing",
    "test_a_key_of_one_flow_reaches_that_flow_alone",
    "test_a_key_of_two_flows_sees_both_in_order",
    "test_an_admin_reads_everybodys_and_changes_only_as_a_named_owner",
    "test_keys_over_http",
    "test_nobody_else_names_an_owner",
    "test_nothing_of_another_is_seen_or_touched",
    "test_pages_of_a_key_of_two_flows_lose_nothing_where_times_run_against_the_order",
    "test_the_same_names_are_ones_own",
    "test_what_another_adds_changes_none_of_ones_answers",
    "test_what_is_open_tells_nothing_of_anybody",
]

pytestmark = pytest.mark.long


@pytest.fixture
def site(clean_site):
    return clean_site


@pytest.fixture
def each_site(clean_site):
    return clean_site
