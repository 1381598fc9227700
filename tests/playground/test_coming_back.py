"""Coming back: to a stream, to a session, to a list that others changed meanwhile, after a lost connection."""

from __future__ import annotations

import pytest
import requests

from tests.live_server import make_key
from tests.playground.conftest import run

expect = pytest.importorskip("playwright.sync_api").expect

#: As a person does who scrolls up until all is there: once may be too early, while the log still goes to its end.
_SCROLLED_TO_ALL = """() => {
  const log = document.querySelector(".log");
  if (log.scrollTop > 1) log.scrollTop = 0;
  else log.scrollTop = 1 - log.scrollTop;
  return document.querySelectorAll("article").length === 150;
}"""

_SHOWN_AGAIN = "document.dispatchEvent(new Event('visibilitychange'))"


def assert_whole(page, last):
    answer = page.locator("article.theirs")
    expect(answer).to_have_count(1)
    expect(answer).to_contain_text(f"word{last}")
    assert answer.locator(".body").inner_text().split() == [f"word{number}" for number in range(last + 1)]


def test_a_tab_that_is_shown_again_keeps_the_answer_that_is_on_its_way(visit):
    window = visit()
    page = window.sign_in("#flow=slow&session=shown-again")
    window.say("60", wait=False)
    expect(page.locator("article.theirs")).to_contain_text("word9")
    with page.expect_response("**/api/v1/monitor/messages?*"):
        page.evaluate(_SHOWN_AGAIN)
    expect(page.locator("article.theirs")).to_contain_text("word20")
    assert page.locator("article.theirs .body").inner_text().startswith("word0 word1 ")
    window.rest()
    assert_whole(page, 59)


def test_a_session_that_is_opened_again_shows_the_whole_answer(visit):
    window = visit()
    page = window.sign_in("#flow=slow&session=opened-again")
    window.say("60", wait=False)
    expect(page.locator("article.theirs")).to_contain_text("word9")
    page.get_by_role("button", name="New session").click()
    expect(page.locator("article")).to_have_count(0)
    page.go_back()
    expect(page.locator("article")).to_have_count(2)
    expect(page.locator("article.theirs")).to_contain_text("being written")
    assert page.locator("article.theirs .body").inner_text().startswith("word0 word1 ")
    window.rest()
    assert_whole(page, 59)
    assert "being written" not in page.locator("article.theirs").inner_text()


def test_a_message_that_waits_for_its_turn_is_shown_again(visit):
    first, second = visit(), visit()
    first.sign_in("#flow=slow&session=waits")
    first.say("400", wait=False)
    expect(first.page.locator("article.theirs")).to_contain_text("word3")
    page = second.sign_in("#flow=slow&session=waits")
    second.say("2", wait=False)
    expect(page.locator("article.mine").last).to_contain_text("being sent")
    page.get_by_role("button", name="New session").click()
    page.go_back()
    expect(page.locator("article.mine").last).to_contain_text("being sent")
    first.page.get_by_role("button", name="Stop").click()
    expect(page.locator("article.theirs").last).to_contain_text("word1")


def test_older_messages_come_although_the_first_page_did_not(visit, site):
    run(site, "echo", "many", 75)
    window = visit()
    page = window.sign_in("#flow=echo&session=few")
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    page.evaluate("location.hash = '#flow=echo&session=many'")
    expect(page.locator("#banner")).to_contain_text("connection to the server is lost")
    page.context.set_offline(False)
    expect(page.locator("article").last).to_contain_text("message 74")
    page.wait_for_function(_SCROLLED_TO_ALL, polling=100)
    expect(page.locator("article")).to_have_count(150)
    expect(page.locator("article .body").first).to_have_text("message 0")
    window.complaints = [text for text in window.complaints if "ERR_" not in text]


def test_a_session_that_was_deleted_in_another_window_goes_from_the_list(visit, site):
    run(site, "steps", "stays")
    run(site, "steps", "goes")
    window = visit()
    page = window.sign_in("#flow=steps&session=stays")
    goes = page.locator(".sessions .id", has_text="goes")
    expect(goes).to_have_count(1)
    requests.delete(
        f"{site.url}/api/v1/monitor/messages/sessions", json=["goes"], headers={"x-api-key": site.key}, timeout=30
    ).raise_for_status()
    page.evaluate(_SHOWN_AGAIN)
    expect(goes).to_have_count(0)
    expect(page.locator(".sessions .id", has_text="stays")).to_have_count(1)


def test_the_next_person_sees_nothing_of_the_one_before(visit, site):
    run(site, "router", "of-ann")
    bob = make_key(site.data, user="bob")
    run(site, "router", "of-bob", key=bob)
    window = visit()
    page = window.sign_in("#flow=router&session=of-ann")
    expect(page.locator("article")).to_have_count(2)
    expect(page.locator(".facts-list li").first).to_contain_text("done")
    page.wait_for_load_state("networkidle")
    page.evaluate("key => sessionStorage.setItem('flowrunner:key', key)", bob)
    page.evaluate(_SHOWN_AGAIN)
    expect(page.locator(".sessions .id")).to_have_text(["of-bob"])
    expect(page.locator("article")).to_have_count(0)
    page.locator(".facts-list summary").first.click()
    # The session that the address names is bob's own now, and nothing has run in it.
    expect(page.locator(".facts-list li").first).to_have_attribute("data-state", "idle")
    assert "message 0" not in page.locator("fr-graph").inner_text()


def test_the_keyboard_stays_where_it_is_when_the_list_is_renewed(visit, site):
    run(site, "slow", "below")
    window = visit()
    page = window.sign_in("#flow=slow&session=below")
    expect(page.locator(".sessions .actions")).to_be_visible()
    run(site, "slow", "above")
    window.say("12", wait=False)
    rename = page.locator(".sessions").get_by_role("button", name="Rename")
    rename.focus()
    window.rest()
    expect(page.locator(".sessions li").nth(1)).to_contain_text("above")
    expect(page.locator(".sessions li").first).to_contain_text("4 messages")
    expect(rename).to_be_focused()


def test_a_second_window_sends_its_own_message_while_it_follows_the_run_of_the_first(visit):
    first, second = visit(), visit()
    first.sign_in("#flow=slow&session=both")
    first.say("3000", wait=False)
    page = second.sign_in("#flow=slow&session=both")
    followed, button = page.locator("article.theirs").first, page.locator(".composer button")
    expect(followed).to_contain_text("word3")
    expect(button).to_have_text("Stop")
    # The button stops what is followed only as long as there is nothing to send.
    page.fill("#text", "2")
    expect(button).to_have_text("Send")
    page.press("#text", "Enter")
    expect(page.locator("article.mine").last).to_contain_text("being sent")
    expect(button).to_have_text("Stop")
    there = len(followed.locator(".body").inner_text().split())
    expect(followed).to_contain_text(f"word{there + 5}")
    assert page.locator(".facts-list li").nth(1).inner_text().count("running") == 1
    first.page.get_by_role("button", name="Stop").click()
    expect(page.locator("article.theirs").last).to_contain_text("word1")
    second.rest()
    expect(page.locator(".facts-list li").last).to_contain_text("done")
    expect(page.locator("article.mine .body")).to_have_text(["3000", "2"])
    first.rest()
