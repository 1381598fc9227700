"""The timeline of a run: live, from a link, of a run that failed, was stopped, or left a branch out."""

from __future__ import annotations

import re

import pytest
import requests

from tests.playground.conftest import run
from tests.playground.large_flow import chain
from tests.waiting import wait_until

expect = pytest.importorskip("playwright.sync_api").expect


def rows(page):
    return page.locator(".timeline tbody tr")


def states(page):
    return [row.get_attribute("data-state") for row in rows(page).all()]


def expect_states(page, wanted):
    """Wait until the rows have these states: each is told by an event of its own."""
    assert wait_until(lambda: states(page) == wanted), states(page)


def test_it_grows_while_a_run_streams_and_says_what_waited_for_what(visit):
    window = visit()
    page = window.sign_in("#flow=slow&session=timeline")
    page.click("#tab-timeline")
    window.say("60", wait=False)
    expect(rows(page).nth(1)).to_have_attribute("data-state", "running")
    expect_states(page, ["success", "running", "waiting"])
    expect(rows(page).nth(1)).to_contain_text("Chat Input")
    expect(page.locator("fr-timeline .note").first).to_contain_text("running")
    window.rest()
    expect(rows(page).nth(2)).to_have_attribute("data-state", "success")
    expect(page.locator("fr-timeline .note").first).to_contain_text("done")
    last = rows(page).nth(2)
    expect(last).to_contain_text("Slow")
    wide = "(row) => Number(row.querySelector('.bars rect:last-child').getAttribute('width'))"
    widths = [row.evaluate(wide) for row in rows(page).all()]
    assert widths[1] > 700, "most of the time went there"


def test_it_is_the_same_when_the_page_is_loaded_again_in_mid_run(visit):
    window = visit()
    page = window.sign_in("#flow=slow&session=timeline-reload")
    page.click("#tab-timeline")
    window.say("200", wait=False)
    expect(page.locator("article.theirs")).to_contain_text("word3")
    page.reload()
    page.click("#tab-timeline")
    expect(rows(page).nth(1)).to_have_attribute("data-state", "running")
    expect_states(page, ["success", "running", "waiting"])
    # Times are those of the server, so what came at once after the reload does not look as if it had begun then.
    took = rows(page).nth(1).locator("td").nth(1)
    expect(took).to_have_text(re.compile(r"\d+ ms|\d+\.\d s"))
    page.get_by_role("button", name="Stop").click()
    window.rest()


def test_a_session_without_a_run_shows_none(visit, site):
    run(site, "router", "has-a-run", 1)
    window = visit()
    page = window.sign_in("#flow=router&session=has-none")
    page.click("#tab-timeline")
    expect(page.locator("fr-timeline")).to_contain_text("No run of this session yet.")
    expect(page.locator(".timeline")).to_be_hidden()
    page.click("#tab-graph")
    expect(page.locator("svg [data-vertex='0']")).to_have_attribute("data-state", "idle")


def test_a_flow_that_was_changed_since_is_said_to_be(visit, site):
    headers = {"x-api-key": site.key}
    body = {"name": "Changing", "endpoint_name": "changing", "data": chain(3)}
    made = requests.post(f"{site.url}/api/v1/flows/", json=body, headers=headers, timeout=30).json()
    run(site, "changing", "changed", 1)
    window = visit()
    page = window.sign_in("#flow=changing&session=changed")
    page.click("#tab-timeline")
    expect(rows(page)).to_have_count(3)
    assert "has been changed" not in page.locator("fr-timeline").inner_text()
    path = f"{site.url}/api/v1/flows/{made['id']}"
    requests.patch(path, json={"data": chain(4)}, headers=headers, timeout=30).raise_for_status()
    page.reload()
    page.click("#tab-timeline")
    expect(rows(page)).to_have_count(4)
    expect(page.locator("fr-timeline")).to_contain_text("The flow has been changed since")


def test_stopped_is_not_left_out_and_not_what_was_never_reached(visit):
    window = visit()
    page = window.sign_in("#flow=slow&session=timeline-stopped")
    page.click("#tab-timeline")
    window.say("400", wait=False)
    expect(page.locator("article.theirs")).to_contain_text("word3")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("fr-timeline .note").first).to_contain_text("stopped")
    window.rest()
    expect(rows(page).nth(1)).to_have_attribute("data-state", "stopped")
    expect_states(page, ["success", "stopped", "missed"])
    expect(rows(page).nth(2)).to_contain_text("not run")
    page.click("#tab-graph")
    expect(page.locator("svg [data-vertex='1']")).to_have_attribute("data-state", "stopped")
    expect(page.locator(".facts-list li").nth(1)).to_contain_text("stopped")
    page.reload()
    expect(page.locator("svg [data-vertex='1']")).to_have_attribute("data-state", "stopped")
    expect(page.locator("svg [data-vertex='2']")).to_have_attribute("data-state", "missed")


def test_a_link_opens_an_old_run(visit, site):
    run(site, "router", "old-run", 1)
    window = visit()
    page = window.sign_in("#flow=router&session=old-run")
    page.click("#tab-runs")
    page.locator(".runs-list summary").first.click()
    page.locator(".run").get_by_role("button", name="Timeline").click()
    expect(page.locator("fr-timeline")).to_be_visible()
    expect(rows(page)).to_have_count(4)
    expect_states(page, ["success", "success", "success", "skipped"])
    expect(rows(page).nth(3)).to_contain_text("left out")
    address = page.url
    assert "run=" in address
    # Meanwhile others run it.
    run(site, "router", "other-run", 2)
    other = visit()
    shown = other.sign_in(f"#{address.partition('#')[2]}")
    expect(shown.locator("fr-timeline")).to_be_visible()
    run_id = address.partition("run=")[2].partition("&")[0]
    expect(shown.locator("fr-timeline .note").first).to_contain_text(run_id)
    expect(rows(shown)).to_have_count(4)


def test_a_failed_run_shows_where_and_why(visit):
    window = visit()
    page = window.sign_in("#flow=broken&session=timeline-broken")
    window.say("this")
    page.click("#tab-timeline")
    expect(rows(page).nth(1)).to_contain_text("failed: Broken: nothing can be done with this")
    expect_states(page, ["success", "error", "missed"])
    page.get_by_role("button", name="Full screen").click()
    expect(page.locator("dialog.full .timeline")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("fr-timeline .timeline")).to_be_visible()


def test_a_link_to_a_run_that_is_gone_says_so(visit):
    window = visit()
    gone = "7f0e9d1c-0000-4000-8000-000000000000"
    page = window.sign_in(f"#flow=echo&session=gone-run&run={gone}")
    page.click("#tab-graph")
    expect(page.locator("fr-graph .notice")).to_contain_text(gone)
    window.complaints = [text for text in window.complaints if "404" not in text]
