"""What a conversation shows: code, formulas, what an answer took, and of each run what became of it."""

from __future__ import annotations

import re

import pytest
import requests

from tests.waiting import wait_until

expect = pytest.importorskip("playwright.sync_api").expect

_CODE = """Look:

```python
def twice(x):  # doubles
    return x * 2.5, "text"
```

    plain

| left | right |
|:-----|------:|
| a    | 1     |

Then $$\\frac{a_1}{b_2}$$ holds.
"""


def test_code_is_coloured_and_copied_block_by_block(visit):
    window = visit(permissions=["clipboard-read", "clipboard-write"])
    page = window.sign_in("#flow=echo&session=code")
    window.say(_CODE)
    answer = page.locator("article.theirs")
    block = answer.locator(".code").first
    expect(block.locator(".c-word").first).to_have_text("def")
    expect(block.locator(".c-comment")).to_have_text("# doubles")
    expect(block.locator(".c-string")).to_have_text('"text"')
    expect(block.locator(".c-number").first).to_have_text("2.5")
    block.get_by_role("button", name="Copy the python code").click()
    expect(page.get_by_role("status")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == 'def twice(x):  # doubles\n    return x * 2.5, "text"\n'
    expect(answer.locator(".code")).to_have_count(2)
    expect(answer.locator("td")).to_have_text(["a", "1"])
    expect(answer.locator(".formula")).to_have_text("$$\\frac{a_1}{b_2}$$")


def test_a_message_says_what_it_took(visit):
    window = visit()
    page = window.sign_in("#flow=told&session=took")
    window.say("how long?")
    spent = page.locator("article.theirs .spent")
    expect(spent).to_have_text("gpt-told, 1100 tokens (800 cached), 400 ms to the first, 2.0 s")
    page.reload()
    expect(spent).to_have_text("gpt-told, 1100 tokens (800 cached), 400 ms to the first, 2.0 s")
    expect(page.locator("article.mine .spent")).to_be_empty()


def test_an_error_is_said_once(visit):
    window = visit()
    page = window.sign_in("#flow=broken&session=once")
    window.say("this")
    said = page.get_by_role("log").get_by_text("nothing can be done with this", exact=True).locator("visible=true")
    expect(said).to_have_count(1)
    expect(page.locator("article.failed .spent")).to_contain_text("component_failed, run ")
    expect(page.locator(".notice")).to_have_count(0)
    page.reload()
    expect(said).to_have_count(1)


def test_a_stopped_run_shows_its_component_as_stopped_and_no_cursor(visit):
    window = visit()
    page = window.sign_in("#flow=slow&session=cursor")
    window.say("400", wait=False)
    expect(page.locator("article.partial")).to_contain_text("word3")
    page.get_by_role("button", name="Stop").click()
    window.rest()
    states = page.locator(".facts-list li")
    for _ in range(2):
        expect(states.nth(1)).to_contain_text("stopped")
        expect(states.nth(2)).to_contain_text("not run")
        expect(page.locator("svg [data-vertex='1']")).to_have_attribute("data-state", "stopped")
        expect(page.locator("article.theirs")).to_contain_text("stopped before its end")
        expect(page.locator("article.partial")).to_have_count(0)
        page.reload()


def test_a_session_shows_its_own_statuses_and_no_other_ones(visit):
    window = visit()
    page = window.sign_in("#flow=steps&session=shown")
    states = page.locator(".facts-list li")
    window.say("hello")
    expect(states.last).to_contain_text("done")
    page.get_by_role("button", name="New session").click()
    expect(states.last).not_to_contain_text("done")
    expect(states.last).not_to_contain_text("not run")
    expect(page.locator("svg [data-state=success]")).to_have_count(0)
    # What was shown a moment ago does not come back when its record is read at last.
    page.wait_for_load_state("networkidle")
    expect(states.last).not_to_contain_text("done")
    page.go_back()
    expect(states.last).to_contain_text("done")


def test_the_record_of_a_run_that_is_read_late_is_not_shown_in_another_session(visit):
    window = visit()
    page = window.sign_in("#flow=steps&session=late")
    held, released = [], []
    # The lists of runs are held: one of them is asked for to see whether the run is recorded.
    page.route("**/api/v1/runs?*", lambda route: route.continue_() if released else held.append(route))
    window.say("hello", wait=False)
    expect(page.locator("article.theirs")).to_have_count(1)
    page.get_by_role("button", name="New session").click()
    states = page.locator(".facts-list li")
    expect(states.last).not_to_contain_text("done")
    with page.expect_response("**/api/v1/runs/*"):
        released.append(True)
        for route in held:
            route.continue_()
    page.evaluate("async () => { for (let n = 0; n < 10; n += 1) await fetch('/health'); }")
    expect(states.last).not_to_contain_text("done")


def test_a_run_in_another_window_is_running_here_too_and_its_words_come(visit):
    first, second = visit(), visit()
    first.sign_in("#flow=slow&session=elsewhere")
    first.say("2000", wait=False)
    expect(first.page.locator("article.theirs")).to_contain_text("word3")
    page = second.sign_in("#flow=slow&session=elsewhere")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(page.locator(".facts-list li").nth(1)).to_contain_text("running")
    expect(page.locator("article.theirs")).to_contain_text("word9")
    page.get_by_role("button", name="Stop").click()
    second.rest()
    first.rest()
    expect(page.locator("article")).to_have_count(2)


def test_the_server_leads_to_the_page_and_shows_its_api(visit, site):
    window = visit()
    page = window.page
    page.goto(f"{site.url}/")
    page.wait_for_url("**/playground*")
    page.goto(f"{site.url}/docs")
    page.locator("#run summary").click()
    expect(page.locator("#run")).to_contain_text("input_value")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    window.complaints = [text for text in window.complaints if "403" not in text]


def test_a_run_that_was_not_streamed_is_running_too_and_can_be_stopped(visit, site):
    accepted = requests.post(
        f"{site.url}/api/v1/run/slow?background=true",
        json={"input_value": "1000", "session_id": "behind"},
        headers={"x-api-key": site.key},
        timeout=30,
    )
    run_id = accepted.json()["run_id"]
    wait_until(lambda: running(site, run_id))
    window = visit()
    page = window.sign_in("#flow=slow&session=behind")
    page.get_by_role("button", name="Stop").click()
    window.rest()
    expect(page.locator(".notice.stopped")).to_be_visible()
    expect(page.locator("article.mine")).to_have_text(re.compile("1000"))
    expect(page.locator(".facts-list li").nth(1)).to_contain_text("stopped")


def running(site, run_id):
    answer = requests.get(f"{site.url}/api/v1/runs/{run_id}", headers={"x-api-key": site.key}, timeout=30)
    return answer.status_code == 200 and answer.json()["status"] == "running" and answer.json()["messages"]
