"""The tests of keyed requests, of reading and ending runs once more, each request sent to either of two servers."""

import sys

import pytest

from tests.faults.test_ending import (
    test_a_client_that_leaves_ends_its_run,
    test_a_run_is_cancelled_by_its_id_whichever_worker_is_asked,
    test_nobody_cancels_what_is_not_theirs,
)
from tests.faults.test_once import (
    test_a_client_that_lost_its_connection_gets_the_answer_of_the_run_that_went_on,
    test_a_key_is_its_owners_and_its_flows,
    test_a_plain_text_answer_is_replayed_as_text_and_another_shape_is_another_request,
    test_a_retry_is_told_to_wait_while_the_first_is_under_way,
    test_a_run_that_failed_is_not_run_again,
    test_an_answer_that_is_too_large_is_not_kept_and_not_made_again,
    test_another_request_with_the_same_key_is_refused,
    test_how_the_same_request_is_written_makes_no_difference,
    test_responses_are_given_once,
    test_the_same_key_gets_the_same_bytes,
    test_webhooks_and_background_runs_are_accepted_once,
    test_what_failed_before_it_was_accepted_keeps_no_key,
    test_what_is_no_key_is_refused_in_a_sentence,
)
from tests.faults.test_reading import (
    test_a_failed_and_a_cancelled_run_end_with_an_error,
    test_a_limited_key_sees_results_of_outputs_alone,
    test_an_event_id_that_is_none_is_refused,
    test_nobody_reads_what_is_not_theirs,
    test_the_events_of_a_run_are_read_while_it_runs_and_afterwards,
)

__all__ = [
    "test_a_client_that_leaves_ends_its_run",
    "test_a_client_that_lost_its_connection_gets_the_answer_of_the_run_that_went_on",
    "test_a_failed_and_a_cancelled_run_end_with_an_error",
    "test_a_key_is_its_owners_and_its_flows",
    "test_a_limited_key_sees_results_of_outputs_alone",
    "test_a_plain_text_answer_is_replayed_as_text_and_another_shape_is_another_request",
    "test_a_retry_is_told_to_wait_while_the_first_is_under_way",
    "test_a_run_is_cancelled_by_its_id_whichever_worker_is_asked",
    "test_a_run_that_failed_is_not_run_again",
    "test_an_answer_that_is_too_large_is_not_kept_and_not_made_again",
    "test_an_event_id_that_is_none_is_refused",
    "test_another_request_with_the_same_key_is_refused",
    "test_how_the_same_request_is_written_makes_no_difference",
    "test_nobody_cancels_what_is_not_theirs",
    "test_nobody_reads_what_is_not_theirs",
    "test_responses_are_given_once",
    "test_the_events_of_a_run_are_read_while_it_runs_and_afterwards",
    "test_the_same_key_gets_the_same_bytes",
    "test_webhooks_and_background_runs_are_accepted_once",
    "test_what_failed_before_it_was_accepted_keeps_no_key",
    "test_what_is_no_key_is_refused_in_a_sentence",
]

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds workers through /proc"),
    pytest.mark.long,
]


@pytest.fixture(scope="module")
def site(hosts):
    return hosts
