"""Working with a conversation: files, asking again, examples, links, and the flow outside of the page."""

from __future__ import annotations

import json
import re
import struct
import zlib

import pytest
import requests

from tests.playground.conftest import run
from tests.waiting import wait_until

expect = pytest.importorskip("playwright.sync_api").expect

_DROP = """([selector, name, type, kind]) => {
  const data = new DataTransfer();
  data.items.add(new File(["some text"], name, { type }));
  const target = document.querySelector(selector);
  const options = { bubbles: true, cancelable: true };
  if (kind === "paste") target.dispatchEvent(new ClipboardEvent("paste", { ...options, clipboardData: data }));
  else target.dispatchEvent(new DragEvent("drop", { ...options, dataTransfer: data }));
}"""


def picture():
    """Return a PNG of two by two pixels."""

    def chunk(kind, data):
        packed = kind + data
        return struct.pack(">I", len(data)) + packed + struct.pack(">I", zlib.crc32(packed))

    head = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + b"\x30\x60\xd0" * 2 for _ in range(2))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_files_are_attached_by_button_drop_and_paste(visit):
    window = visit()
    page = window.sign_in("#flow=echo&session=files")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Attach").click()
    chooser.value.set_files({"name": "blue.png", "mimeType": "image/png", "buffer": picture()})
    page.evaluate(_DROP, ["fr-conversation", "dropped.txt", "text/plain", "drop"])
    page.evaluate(_DROP, ["#text", "pasted.txt", "text/plain", "paste"])
    page.evaluate(_DROP, ["#text", "not-wanted.txt", "text/plain", "paste"])
    rows = page.locator(".attachments li")
    expect(rows).to_have_count(4)
    page.get_by_role("button", name="Remove not-wanted.txt").click()
    expect(rows).to_have_count(3)
    window.say("look at these")
    expect(rows).to_have_count(0)
    question = page.locator("article.mine")
    for _ in range(2):
        shown = question.locator("img.picture")
        expect(shown).to_have_count(1)
        page.wait_for_function("() => document.querySelector('img.picture').naturalWidth === 2")
        expect(question.locator("button.file")).to_have_count(2)
        with page.expect_download() as download:
            question.locator("button.file").first.click()
        assert download.value.path().read_text("utf-8") == "some text"
        page.reload()


def test_a_file_that_is_refused_says_why_and_nothing_goes_without_it(visit):
    window = visit()
    page = window.sign_in("#flow=echo&session=refused-file")
    page.route("**/files/upload/**", lambda route: route.fulfill(status=413, json={"detail": "It is too large."}))
    page.evaluate(_DROP, ["#text", "huge.bin", "application/octet-stream", "drop"])
    expect(page.locator(".attachments li")).to_contain_text("It is too large.")
    page.fill("#text", "with the file")
    page.press("#text", "Enter")
    expect(page.locator("#text")).to_have_value("with the file")
    page.get_by_role("button", name="Remove huge.bin").click()
    page.press("#text", "Enter")
    expect(page.locator("article")).to_have_count(2)
    window.complaints = [text for text in window.complaints if "413" not in text]


def test_an_answer_is_made_anew_in_a_copy_and_both_are_kept(visit):
    window = visit()
    page = window.sign_in("#flow=echo&session=origin")
    window.say("first")
    window.say("second")
    expect(page.locator("article")).to_have_count(4)
    page.locator("article.theirs").last.get_by_role("button", name="Regenerate").click()
    expect(page.locator("h2.session-id")).not_to_have_text("origin")
    window.rest()
    expect(page.locator("article .body")).to_have_text(["first", "first", "second", "second"])
    page.get_by_role("button", name="Open that one").click()
    expect(page.locator("h2.session-id")).to_have_text("origin")
    expect(page.locator("article .body")).to_have_text(["first", "first", "second", "second"])


def test_a_question_is_changed_and_run_from_there(visit):
    window = visit()
    page = window.sign_in("#flow=echo&session=changed")
    window.say("one")
    window.say("two")
    window.say("three")
    page.locator("article.mine").nth(1).get_by_role("button", name="Edit").click()
    page.fill("article textarea", "two, but otherwise")
    page.get_by_role("button", name="Run from here").click()
    expect(page.locator("article .body")).to_have_text(["one", "one", "two, but otherwise", "two, but otherwise"])
    page.go_back()
    expect(page.locator("article .body")).to_have_text(["one", "one", "two", "two", "three", "three"])


def test_an_empty_session_says_what_the_flow_is_for_and_what_to_ask(visit):
    window = visit()
    page = window.sign_in("#flow=steps&session=empty-one")
    empty = page.get_by_role("region", name="About the flow")
    expect(empty).to_contain_text("Shows the steps of an agent.")
    empty.get_by_role("button", name="Look up the weather").click()
    expect(page.locator("#text")).to_have_value("Look up the weather")
    expect(page.locator("#text")).to_be_focused()
    page.press("#text", "Enter")
    expect(page.locator("article")).to_have_count(2)
    expect(empty).to_be_hidden()
    page.get_by_role("button", name="New session").click()
    expect(empty).to_be_visible()


def test_the_call_of_a_flow_is_copied_and_the_flow_saved(visit):
    window = visit(permissions=["clipboard-read", "clipboard-write"])
    page = window.sign_in("#flow=echo&session=use")
    page.fill("#text", "it's this")
    page.get_by_role("button", name="Use in code").click()
    dialog = page.locator("dialog")
    for name, words in (
        ("curl", "curl 'http"),
        ("Python", "requests.post("),
        ("JavaScript", "await fetch("),
        ("OpenAI", "OpenAI("),
    ):
        page.select_option("#use-as", name)
        expect(dialog.locator(".code")).to_contain_text(words)
        dialog.get_by_role("button", name="Copy the").click()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert words in copied and window.site.key not in copied
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Download the flow").click()
    assert json.loads(download.value.path().read_text("utf-8"))["endpoint_name"] == "echo"
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator("#text")).to_have_value("it's this")


def test_a_link_opens_a_message(visit):
    window = visit(permissions=["clipboard-read", "clipboard-write"])
    page = window.sign_in("#flow=echo&session=linked")
    for text in ("alpha", "beta\n" * 60, "gamma\n" * 60):
        window.say(text)
    page.locator("article.mine").first.get_by_role("button", name="Copy a link").click()
    address = page.evaluate("navigator.clipboard.readText()")
    page.goto("about:blank")
    page.goto(address)
    found = page.locator("article.linked")
    expect(found).to_contain_text("alpha")
    expect(found).to_be_focused()
    expect(found).to_be_in_viewport()


def test_words_are_found_in_all_sessions_of_all_flows(visit, site):
    run(site, "echo", "needle-one")
    said = {"input_value": "a Pelican over\nthe harbour " + "x " * 200, "session_id": "where it was"}
    headers = {"x-api-key": site.key}
    requests.post(f"{site.url}/api/v1/run/steps", json=said, headers=headers, timeout=30).raise_for_status()
    window = visit()
    page = window.sign_in("#flow=echo&session=searching")
    page.fill("#filter", "harbour pelican")
    hits = page.locator(".hits li")
    expect(hits).to_have_count(2)
    expect(hits.last.locator("mark")).to_have_text("Pelican")
    expect(hits.last).to_contain_text("Steps")
    hits.last.get_by_role("link").click()
    expect(page.locator("h2.session-id")).to_have_text("where it was")
    expect(page.locator("article.linked")).to_contain_text("a Pelican over")
    expect(page.locator("#flow")).to_have_value("steps")
    page.fill("#filter", "pelican zeppelin")
    expect(page.locator(".search")).to_contain_text("No message has all these words.")
    page.select_option("#flow", "echo")
    page.fill("#filter", "needle-one")
    expect(page.locator(".sessions li")).to_have_count(1)
    page.fill("#filter", "")
    expect(page.locator(".search")).to_be_hidden()


def test_two_runs_are_compared_side_by_side(visit):
    window = visit()
    page = window.sign_in("#flow=router&session=compared")
    window.say("please help")
    window.say("good morning")
    page.click("#tab-runs")
    page.check("#only")
    rows = page.locator(".runs-list > li")
    expect(rows).to_have_count(2)
    rows.nth(0).get_by_role("button", name="Compare").click()
    expect(rows.nth(0).get_by_role("button", name="Compare")).to_have_attribute("aria-pressed", "true")
    rows.nth(1).get_by_role("button", name="Compare").click()
    table = page.locator(".compared")
    question = table.get_by_role("row").filter(has_text=re.compile("^Question"))
    # The earlier one is on the left, whichever was chosen first.
    expect(question.locator("td")).to_have_text(["please help", "good morning"])
    expect(question).to_have_class("differs")
    expect(table.get_by_role("row").filter(has_text=re.compile("^State"))).not_to_have_class("differs")
    helped = table.locator("tr", has_text="(help)")
    expect(helped.locator("td").first).to_contain_text("success")
    expect(helped.locator("td").last).to_have_text("not run")
    page.get_by_role("button", name="Close").click()
    expect(page.locator("dialog")).to_be_hidden()
    expect(rows.nth(0).get_by_role("button", name="Compare")).to_have_attribute("aria-pressed", "false")


def test_a_session_has_a_title_apart_from_its_id(visit):
    window = visit()
    page = window.sign_in("#flow=echo&session=titled")
    window.say("these are its first words")
    page.get_by_role("button", name="Title").click()
    page.fill("#dialog-field", "Harvest plans")
    page.locator("dialog button.main").click()
    row = page.locator(".sessions li", has=page.locator("[aria-current]"))
    expect(row.locator(".title")).to_have_text("Harvest plans")
    expect(row.locator(".id")).to_have_text("titled")
    page.reload()
    page.fill("#filter", "harvest")
    expect(page.locator(".sessions li .title")).to_have_text(["Harvest plans"])
    page.fill("#filter", "")
    page.get_by_role("button", name="Title").click()
    page.fill("#dialog-field", "")
    page.locator("dialog button.main").click()
    expect(row.locator(".title")).to_have_text("these are its first words")


def test_a_file_that_is_removed_while_it_is_uploaded_stays_behind_and_none_goes_twice(visit):
    window = visit()
    page = window.sign_in("#flow=echo&session=removed")
    held = []
    page.route("**/files/upload/**", lambda route: held.append(route))
    for name in ("goes.txt", "stays.txt"):
        with page.expect_request("**/files/upload/**"):
            page.evaluate(_DROP, ["#text", name, "text/plain", "drop"])
    window.say("with one of them", wait=False)
    expect(page.locator("#text")).to_have_value("")
    window.say("and more", wait=False)
    page.get_by_role("button", name="Remove stays.txt").click()
    expect(page.locator(".attachments li")).to_have_count(1)
    # The list grows while the browser is talked to.
    assert wait_until(lambda: page.evaluate("1") and len(held) == 2)
    for route in held:
        route.continue_()
    question = page.locator("article.mine")
    expect(question).to_have_count(1)
    expect(page.locator("article.theirs")).to_have_count(1)
    expect(question.locator("button.file")).to_have_count(1)
    expect(question.locator("button.file")).to_contain_text("goes.txt")
    expect(page.locator("#text")).to_have_value("and more")
    page.press("#text", "Enter")
    expect(page.locator("article.theirs .body")).to_have_text(["with one of them", "and more"])


def test_files_go_to_the_session_that_they_were_sent_in_though_another_one_is_open_by_then(visit):
    window = visit()
    page = window.sign_in("#flow=echo&session=sent-in")
    held = []
    page.route("**/files/upload/**", lambda route: held.append(route))
    for session, name in (("sent-in", "first.txt"), ("other", "second.txt")):
        page.evaluate(f"location.hash = '#flow=echo&session={session}'")
        expect(page.locator("h2.session-id")).to_have_text(session)
        with page.expect_request("**/files/upload/**"):
            page.evaluate(_DROP, ["#text", name, "text/plain", "drop"])
        if session == "sent-in":
            window.say("with the first", wait=False)
            expect(page.locator("#text")).to_have_value("")
    # The list grows while the browser is talked to.
    assert wait_until(lambda: page.evaluate("1") and len(held) == 2)
    with page.expect_response("**/api/v1/run/**"):
        held[0].continue_()
    expect(page.locator("article")).to_have_count(0)
    page.evaluate("location.hash = '#flow=echo&session=sent-in'")
    expect(page.locator("article.theirs .body")).to_have_text(["with the first"])
    expect(page.locator("article.mine button.file")).to_contain_text("first.txt")
    held[1].continue_()
