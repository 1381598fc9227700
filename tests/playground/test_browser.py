"""A person at the page: a whole conversation, two windows, stopping, reloading, a server that goes away."""

from __future__ import annotations

import json
import re
import signal

import pytest

from tests.playground.conftest import run

expect = pytest.importorskip("playwright.sync_api").expect


def test_a_whole_conversation(visit):
    window = visit()
    page = window.sign_in("#flow=echo&session=first")
    window.say("Good **morning**\n\n- one\n- two")
    expect(page.locator("article")).to_have_count(2)
    expect(page.locator("article strong", has_text="morning")).to_have_count(2)
    expect(page.locator("article li", has_text="one")).to_have_count(2)
    expect(page.locator(".facts")).to_contain_text("Session first: the request named it.")
    item = page.locator(".sessions li").first
    expect(item).to_contain_text("Good **morning**")
    expect(item).to_contain_text("2 messages")
    window.say("Bye")
    expect(item).to_contain_text("4 messages")
    page.reload()
    expect(page.locator("article")).to_have_count(4)
    assert page.input_value("#text") == ""


def test_messages_are_edited_and_deleted(visit):
    window = visit()
    page = window.sign_in("#flow=echo&session=edits")
    window.say("a thing to change")
    answer = page.locator("article.theirs")
    answer.get_by_role("button", name="Edit").click()
    page.fill("article textarea", "changed **now**")
    page.get_by_role("button", name="Save").click()
    expect(answer).to_contain_text("edited")
    expect(answer.locator("strong", has_text="now")).to_be_visible()
    page.reload()
    expect(answer).to_contain_text("edited")
    page.locator("article.mine").get_by_role("button", name="Delete").click()
    page.locator("dialog button.danger").click()
    expect(page.locator("article")).to_have_count(1)
    page.reload()
    expect(page.locator("article")).to_have_count(1)


def test_sessions_are_renamed_filtered_exported_and_deleted(visit):
    window = visit()
    page = window.sign_in("#flow=echo&session=plain")
    window.say("to be moved")
    page.get_by_role("button", name="Rename").click()
    expect(page.locator("dialog")).to_contain_text("Messages of other flows in this session are moved too.")
    page.fill("#dialog-field", "a/b ?c#d %2F")
    page.locator("dialog button.main").click()
    expect(page.locator("h2.session-id")).to_have_text("a/b ?c#d %2F")
    expect(page.locator("article")).to_have_count(2)
    page.fill("#filter", "?c#d")
    expect(page.locator(".sessions li")).to_have_count(1)
    page.fill("#filter", "no such id")
    expect(page.locator("fr-sessions")).to_contain_text("No session id contains “no such id”.")
    page.fill("#filter", "?c#d")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    exported = json.loads(download.value.path().read_text("utf-8"))
    assert exported["session_id"] == "a/b ?c#d %2F"
    assert [message["text"] for message in exported["messages"]] == ["to be moved"] * 2
    page.locator(".sessions li").get_by_role("button", name="Delete").click()
    expect(page.locator("dialog")).to_contain_text("including those of other flows")
    page.locator("dialog button.danger").click()
    expect(page.locator(".sessions li")).to_have_count(0)
    expect(page.locator("article")).to_have_count(0)


def test_two_sessions_in_two_windows(visit):
    left, right = visit(), visit()
    left.sign_in("#flow=slow&session=left")
    right.sign_in("#flow=slow&session=right")
    left.say("12", wait=False)
    right.say("6")
    left.rest()
    expect(left.page.locator("article.theirs")).to_contain_text("word11")
    expect(right.page.locator("article.theirs")).to_contain_text("word5")
    assert "word6" not in " ".join(right.texts())
    right.page.get_by_role("link", name="12").click()
    expect(right.page.locator("article.theirs")).to_contain_text("word11")


def test_a_run_is_stopped_in_mid_stream(visit):
    window = visit()
    page = window.sign_in("#flow=slow&session=stopped")
    window.say("400", wait=False)
    expect(page.locator("article.theirs")).to_contain_text("word3")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".notice.stopped")).to_be_visible()
    expect(page.locator("article.theirs")).to_contain_text("stopped before its end")
    page.reload()
    expect(page.locator("article.theirs")).to_contain_text("word3")
    assert "word399" not in " ".join(window.texts())


def test_a_run_goes_on_while_the_page_is_loaded_again(visit):
    window = visit()
    page = window.sign_in("#flow=slow&session=reloaded")
    window.say("40", wait=False)
    expect(page.locator("article.theirs")).to_contain_text("word3")
    page.reload()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(page.locator("article.theirs")).to_contain_text("word39")
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    expect(page.locator("article")).to_have_count(2)


def test_the_graph_lights_up_and_the_list_says_the_same(visit):
    window = visit()
    page = window.sign_in("#flow=slow&session=lights")
    box = page.locator("svg [data-vertex='1']")
    window.say("80", wait=False)
    expect(box).to_have_attribute("data-state", "running")
    expect(page.locator(".facts-list li").nth(1)).to_contain_text("running")
    expect(box).to_have_attribute("data-state", "success")
    page.select_option("#flow", "router")
    window.say("please help")
    boxes = page.locator("svg [data-vertex]")
    expect(boxes.nth(2)).to_have_attribute("data-state", "success")
    expect(boxes.nth(3)).to_have_attribute("data-state", "skipped")
    expect(page.locator("svg [data-edge='2']")).to_have_attribute("data-state", "untaken")
    page.locator(".facts-list summary").nth(1).click()
    facts = page.locator(".facts-list li").nth(1)
    expect(facts).to_contain_text("false_result")
    expect(facts).to_contain_text("the request named it")
    expect(facts).to_contain_text("Input match_text")
    arrived = facts.locator("dt", has_text="Input input_text").locator("xpath=following-sibling::dd[1]")
    expect(arrived).to_have_text("from message of Chat Input (question)")


def test_errors_are_shown_as_they_are_and_secrets_are_not(visit):
    window = visit()
    page = window.sign_in("#flow=broken&session=errors")
    window.say("this")
    expect(page.locator("article.failed")).to_contain_text("nothing can be done with this")
    expect(page.locator("article.failed")).to_contain_text("component_failed, run ")
    expect(page.locator("svg [data-vertex='1']")).to_have_attribute("data-state", "error")
    page.locator(".facts-list summary").nth(1).click()
    expect(page.locator(".facts-list li").nth(1)).to_contain_text("nothing can be done with this")
    page.click("#tab-runs")
    page.locator(".runs-list summary").first.click()
    expect(page.locator(".run").first).to_contain_text("nothing can be done with this")
    assert "open-sesame-4711" not in page.content()


def test_steps_are_unfolded(visit):
    window = visit()
    page = window.sign_in("#flow=steps&session=steps")
    window.say("look it up")
    block = page.locator("article details")
    expect(block.locator("pre").first).to_be_hidden()
    block.locator("summary").click()
    expect(block).to_contain_text("1.2 s")
    expect(block.locator("pre").first).to_be_visible()


def test_runs_of_a_session(visit):
    window = visit()
    page = window.sign_in("#flow=steps&session=of-this")
    window.say("one")
    page.click("#tab-runs")
    page.check("#only")
    expect(page.locator(".runs-list > li")).to_have_count(1)
    page.locator(".runs-list summary").first.click()
    shown = page.locator(".run")
    for text in ("question", "worker", "answer", "Messages", "Components", "Session of-this: the request named it."):
        expect(shown).to_contain_text(text)
    shown.locator("summary", has_text="worker").click()
    expect(shown).to_contain_text("from message of Chat Input (question)")


def test_an_older_run_shows_its_inputs_as_long_as_they_are_kept(visit, site):
    # More transactions than one page of them holds.
    run(site, "router", "older", 45)
    window = visit()
    page = window.sign_in("#flow=router&session=older")
    page.click("#tab-runs")
    page.check("#only")
    rows = page.locator(".runs-list > li")
    for shown in (20, 40):
        expect(rows).to_have_count(shown)
        page.get_by_role("button", name="More").click()
    expect(rows).to_have_count(45)
    rows.last.locator("summary").first.click()
    rows.last.locator("summary", has_text="question").click()
    taken = rows.last.locator("dt:visible", has_text="Input input_value").locator("xpath=following-sibling::dd[1]")
    expect(taken).to_have_text("message 0")


def test_a_server_that_goes_away_and_comes_back(visit, site):
    window = visit()
    page = window.sign_in("#flow=slow&session=restart")
    window.say("3")
    window.say("400", wait=False)
    expect(page.locator("article.theirs").last).to_contain_text("word3")
    site.stop(signal.SIGQUIT)
    expect(page.locator("#banner")).to_contain_text("connection to the server is lost")
    page.fill("#text", "typed while it was away")
    site.start()
    expect(page.locator("#banner")).to_be_empty()
    page.evaluate("() => document.querySelector('.composer button.danger')?.click()")
    window.rest()
    assert page.input_value("#text") == "typed while it was away"
    page.reload()
    expect(page.locator("#text")).to_have_value("typed while it was away")
    page.fill("#text", "2")
    page.press("#text", "Enter")
    expect(page.locator("article.theirs").last).to_contain_text("word1")
    page.wait_for_load_state("networkidle")
    window.complaints = [text for text in window.complaints if not re.search(r"Failed to load|ERR_", text)]


def test_what_could_not_be_sent_is_given_back(visit, site):
    window = visit()
    page = window.sign_in("#flow=echo&session=unsent")
    page.route("**/api/v1/run/**", lambda route: route.abort())
    window.say("do not lose me")
    expect(page.locator("#text")).to_have_value("do not lose me")
    expect(page.locator(".notice.failed").first).to_contain_text("cannot be reached")
    page.unroute("**/api/v1/run/**")
    page.press("#text", "Enter")
    expect(page.locator("article.theirs")).to_contain_text("do not lose me")
    window.complaints = [text for text in window.complaints if "Failed to load" not in text]


def test_a_key_that_is_no_longer_good(visit):
    window = visit()
    page = window.sign_in("#flow=echo&session=keys")
    # The message is what is refused first, and nothing else that is still on its way.
    page.wait_for_load_state("networkidle")
    page.evaluate("sessionStorage.setItem('flowrunner:key', 'sk-gone')")
    page.fill("#text", "kept")
    page.press("#text", "Enter")
    expect(page.locator("dialog")).to_contain_text("The key is no longer accepted")
    page.fill("#dialog-field", window.site.key)
    page.locator("dialog button.main").click()
    expect(page.locator("#text")).to_have_value("kept")
    page.press("#text", "Enter")
    expect(page.locator("article.theirs")).to_contain_text("kept")
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    window.complaints = [text for text in window.complaints if "403" not in text]


def test_a_flow_that_vanished(visit):
    window = visit()
    page = window.sign_in("#flow=echo&session=vanished")
    made = page.request.post(
        f"{window.site.url}/api/v1/flows/",
        headers={"x-api-key": window.site.key},
        data={"name": "Short-lived", "endpoint_name": "short-lived", "data": echo_flow()},
    ).json()
    page.goto(f"{window.site.url}/playground#flow=short-lived&session=gone")
    page.reload()
    window.say("hello")
    expect(page.locator("article")).to_have_count(2)
    page.request.delete(f"{window.site.url}/api/v1/flows/{made['id']}", headers={"x-api-key": window.site.key})
    window.say("typed in vain")
    expect(page.locator("#banner")).to_contain_text("no longer exists")
    expect(page.locator("#text")).to_have_value("typed in vain")
    window.complaints = [text for text in window.complaints if "404" not in text]


def echo_flow():
    def node(name, kind, outputs, fields):
        template = {field: {"type": "str", "value": "", "show": True} for field in fields}
        return {"id": name, "data": {"id": name, "type": kind, "node": {"template": template, "outputs": outputs}}}

    message = [{"name": "message", "types": ["Message"]}]
    handles = {
        "sourceHandle": {"dataType": "ChatInput", "id": "ChatInput-a", "name": "message", "output_types": ["Message"]},
        "targetHandle": {"fieldName": "input_value", "id": "ChatOutput-b", "inputTypes": ["Message"], "type": "str"},
    }
    return {
        "nodes": [
            node("ChatInput-a", "ChatInput", message, ["input_value"]),
            node("ChatOutput-b", "ChatOutput", message, ["input_value"]),
        ],
        "edges": [{"source": "ChatInput-a", "target": "ChatOutput-b", "data": handles}],
    }
