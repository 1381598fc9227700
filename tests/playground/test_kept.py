"""What a person typed stays theirs: whatever happens to the flow, the run, the key or the session around it."""

from __future__ import annotations

import pytest
import requests

from tests.playground.test_browser import echo_flow

expect = pytest.importorskip("playwright.sync_api").expect


def forgive(window, *words):
    window.complaints = [text for text in window.complaints if not any(word in text for word in words)]


def spoil_key(page):
    # What is still on its way would be refused instead of what the test does.
    page.wait_for_load_state("networkidle")
    page.evaluate("sessionStorage.setItem('flowrunner:key', 'sk-gone')")


def sign_in_again(page, key):
    expect(page.locator("dialog")).to_contain_text("The key is no longer accepted")
    page.fill("#dialog-field", key)
    page.locator("dialog button.main").click()


def test_a_text_goes_along_when_its_flow_is_gone(visit):
    window = visit()
    page = window.sign_in("#flow=echo&session=goes-along")
    headers = {"x-api-key": window.site.key}
    flow = {"name": "Passing", "endpoint_name": "passing", "data": echo_flow()}
    made = requests.post(f"{window.site.url}/api/v1/flows/", json=flow, headers=headers, timeout=30).json()
    page.goto(f"{window.site.url}/playground#flow=passing&session=passing")
    page.reload()
    expect(page.locator("#flow option", has_text="Passing")).to_have_count(1)
    requests.delete(f"{window.site.url}/api/v1/flows/{made['id']}", headers=headers, timeout=30).raise_for_status()
    window.say("my long question")
    expect(page.locator("#banner")).to_contain_text("The flow Passing no longer exists. Your text is kept")
    expect(page.locator("#flow option", has_text="Passing")).to_have_count(0)
    page.select_option("#flow", "echo")
    expect(page.locator("#text")).to_have_value("my long question")
    page.press("#text", "Enter")
    expect(page.locator("article.theirs")).to_contain_text("my long question")
    page.reload()
    expect(page.locator("article")).to_have_count(2)
    assert page.input_value("#text") == ""
    forgive(window, "404")


def test_a_refused_text_goes_back_to_the_flow_that_it_was_for(visit):
    window = visit()
    page = window.sign_in("#flow=echo&session=refused")
    held = []
    page.route("**/api/v1/run/**", lambda route: held.append(route))
    with page.expect_request("**/api/v1/run/**"):
        window.say("precious words", wait=False)
    page.select_option("#flow", "slow")
    expect(page.locator(".composer button")).to_have_text("Send")
    busy = '{"detail": "The session is busy.", "code": "session_busy"}'
    with page.expect_response("**/api/v1/run/**"):
        held[0].fulfill(status=409, content_type="application/json", body=busy)
    page.evaluate("location.hash = '#flow=echo&session=refused'")
    expect(page.locator("#text")).to_have_value("precious words")
    page.select_option("#flow", "slow")
    expect(page.locator("#text")).to_have_value("")
    forgive(window, "409")


def test_the_text_of_a_run_that_was_stopped_before_its_turn_is_given_back(visit):
    first, second = visit(), visit()
    first.sign_in("#flow=slow&session=turns")
    first.say("400", wait=False)
    expect(first.page.locator("article.theirs")).to_contain_text("word3")
    page = second.sign_in("#flow=slow&session=turns")
    second.say("please do not do this", wait=False)
    expect(page.locator("article.mine").last).to_contain_text("being sent")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".notice.stopped")).to_be_visible()
    expect(page.locator("#text")).to_have_value("please do not do this")
    first.page.get_by_role("button", name="Stop").click()
    first.rest()


def test_a_run_in_one_flow_leaves_the_same_session_of_another_flow_alone(visit):
    window = visit()
    page = window.sign_in("#flow=slow&session=same")
    window.say("1000", wait=False)
    expect(page.locator("article.theirs")).to_contain_text("word2")
    page.evaluate("location.hash = '#flow=echo&session=same'")
    expect(page.locator(".composer button")).to_have_text("Send")
    # The session has one turn at a time, whichever flow it is in.
    window.say("hello", wait=False)
    expect(page.locator("article.mine")).to_contain_text("being sent")
    page.evaluate("location.hash = '#flow=slow&session=same'")
    expect(page.locator("article.theirs")).to_contain_text("word2")
    page.get_by_role("button", name="Stop").click()
    window.rest()
    page.evaluate("location.hash = '#flow=echo&session=same'")
    expect(page.locator("article.theirs")).to_contain_text("hello")


def test_an_edit_that_was_begun_is_still_there_after_a_look_elsewhere(visit):
    window = visit()
    page = window.sign_in("#flow=echo&session=edited")
    window.say("short")
    page.locator("article.theirs").get_by_role("button", name="Edit").click()
    page.fill("article textarea", "a long text in its place")
    page.get_by_role("button", name="New session").click()
    expect(page.locator("article")).to_have_count(0)
    page.go_back()
    expect(page.locator("article textarea")).to_have_value("a long text in its place")
    spoil_key(page)
    page.get_by_role("button", name="Save").click()
    sign_in_again(page, window.site.key)
    page.reload()
    expect(page.locator("article textarea")).to_have_value("a long text in its place")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("article.theirs")).to_contain_text("edited")
    page.reload()
    expect(page.locator("article.theirs")).to_contain_text("a long text in its place")
    expect(page.locator("article textarea")).to_have_count(0)
    forgive(window, "403")


def test_a_new_name_is_asked_for_again_after_signing_in(visit):
    window = visit()
    page = window.sign_in("#flow=echo&session=unnamed")
    window.say("to be named")
    page.get_by_role("button", name="Rename").click()
    spoil_key(page)
    page.fill("#dialog-field", "a name that took thought")
    page.locator("dialog button.main").click()
    sign_in_again(page, window.site.key)
    expect(page.locator("dialog")).to_contain_text("Rename the session")
    expect(page.locator("#dialog-field")).to_have_value("a name that took thought")
    page.locator("dialog button.main").click()
    expect(page.locator("h2.session-id")).to_have_text("a name that took thought")
    expect(page.locator("article")).to_have_count(2)
    forgive(window, "403")
