"""The pages beside the conversation: the memory, what is indexed, and the list of runs."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from flowrunner import Chunk
from flowrunner.app import create_app, runner_of
from flowrunner.memory.message import Message, utc_now
from flowrunner.store.keys import owner_of_user
from tests.live_server import make_key
from tests.playground.conftest import HERE, run
from tests.playground.test_access import _findings

expect = pytest.importorskip("playwright.sync_api").expect

SESSIONS = 130


@pytest.fixture(scope="module")
def kept(site):
    """Store conversations and documents of ann's beside the running server; give the key of an admin."""
    app = create_app(data_dir=site.data, flows_dir=str(HERE / "flows"), auth="none")
    runner = runner_of(app)
    flow = next(flow.id for flow in runner.library.folders.flows() if flow.endpoint_name == "echo")
    memory = runner.memory.for_owner(owner_of_user("ann"))
    for number in range(SESSIONS):
        when = utc_now() - timedelta(days=number)
        said = {"session_id": f"kept-{number}", "flow_id": flow, "timestamp": when}
        memory.append(Message(sender="User", sender_name="User", text=f"parcel <b>{number}</b> zebra", **said))
    vectors = runner.vectors.for_owner(owner_of_user("ann"))
    for there in vectors.collections():
        vectors.delete(there.name)
    vectors.upsert("handbook & co/?", [Chunk(f"h{n}", "text", [1.0], f"chapter {n // 2}.md") for n in range(60)])
    vectors.upsert("prices", [Chunk("p", "text", [1.0, 2.0], "")])
    runner.close()
    return make_key(site.data, "--admin", user="root")


@pytest.fixture
def page_of(visit, kept):
    windows = []

    def open_page(view, *, admin=False, **options):
        window = visit(**options)
        page = window.page
        page.goto(f"{window.site.url}/playground#flow=echo&session=beside&view={view}")
        page.fill("#dialog-field", kept if admin else window.site.key)
        page.click("dialog button.main")
        expect(page.locator("#page h2")).to_be_visible()
        # What a page refuses is said in it; the browser complains of each refusal.
        windows.append(window)
        return page

    yield open_page
    for window in windows:
        window.complaints = [text for text in window.complaints if not re.search("status of 40[03]", text)]


def test_an_owner_sees_the_backend_and_ones_own_numbers(page_of):
    page = page_of("memory")
    cards = page.locator(".card")
    expect(cards).to_have_count(2)
    expect(cards.nth(0)).to_contain_text("Your conversations")
    expect(cards.nth(1)).to_contain_text("sqlite")
    expect(cards.nth(1)).to_contain_text("✓ Survives a restart")
    expect(page.locator("#page")).not_to_contain_text("Retention")
    expect(page.locator("#page")).not_to_contain_text("flowrunner.db")
    expect(page.locator("main")).to_be_hidden()
    rows = page.locator("#page section[aria-label=Sessions] tbody tr")
    expect(rows).to_have_count(100)
    page.get_by_role("button", name="More").click()
    page.wait_for_function(f"() => document.querySelectorAll('#page section tbody tr').length >= {SESSIONS}")


def test_messages_are_searched_and_a_hit_leads_to_its_session(page_of):
    page = page_of("memory")
    page.fill("#memory-search", "ZEBRA parcel")
    page.press("#memory-search", "Enter")
    found = page.locator(".found li")
    expect(found).to_have_count(50)
    expect(page.get_by_role("status").filter(has_text="More than 50 messages")).to_have_count(2)
    page.locator("section[aria-label=Search]").get_by_role("button", name="More").click()
    expect(found).to_have_count(100)
    page.fill("#memory-search", "parcel zebra crossing")
    page.press("#memory-search", "Enter")
    expect(page.locator("section[aria-label=Search]")).to_contain_text("No message contains")
    expect(found).to_have_count(0)
    page.fill("#memory-search", "parcel >77<")
    page.press("#memory-search", "Enter")
    expect(found).to_have_count(1)
    expect(found).to_contain_text("parcel <b>77</b> zebra")
    found.get_by_role("link").click()
    expect(page.locator("h2.session-id")).to_contain_text("kept-77")
    expect(page.locator("article")).to_contain_text("zebra")
    expect(page.locator("#page")).to_be_hidden()


def test_an_admin_sees_what_retention_would_remove(page_of):
    page = page_of("memory", admin=True)
    expect(page.locator(".card").nth(0)).to_contain_text("Conversations of all users")
    expect(page.locator(".card").nth(1)).to_contain_text("flowrunner.db")
    card = page.locator(".card", has_text="Retention")
    expect(card).to_contain_text("Everything is kept: no rule is set.")
    ask = card.get_by_role("button", name="What would be removed?")
    ask.click()
    expect(card.get_by_role("status")).to_contain_text("FLOWRUNNER_MEMORY_RETENTION")
    page.fill("#rules", "session=kept-* age=100d; newest=100000")
    ask.click()
    rows = card.locator("tbody tr")
    # Those of 100 days and more; the last of them becomes as old while this runs.
    expect(rows.first).to_contain_text(re.compile(r"session=kept-\* age=100d\s*(29|30)\s*(29|30)"))
    expect(card.get_by_role("status")).to_contain_text("Nothing was removed.")
    page.fill("#rules", "age=x")
    ask.click()
    expect(card.get_by_role("status")).to_contain_text("The retention rules are not valid")


def test_collections_and_documents_are_listed_and_deleted(page_of):
    page = page_of("documents")
    rows = page.locator(".collection")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("handbook & co/? 30 documents, 60 chunks, 1 dimensions")
    rows.first.locator("summary").click()
    expect(rows.first.locator("tbody tr")).to_have_count(30)
    rows.first.get_by_role("searchbox").fill("chapter 7")
    expect(rows.first.locator("tbody tr")).to_have_count(1)
    rows.first.get_by_role("button", name="Delete chapter 7.md").click()
    expect(page.locator("dialog")).to_contain_text("2 chunks of chapter 7.md will be gone from handbook & co/?")
    page.locator("dialog").get_by_role("button", name="Cancel").click()
    expect(rows.first).to_contain_text("60 chunks")
    rows.first.get_by_role("button", name="Delete chapter 7.md").click()
    page.locator("dialog button.danger").click()
    expect(rows.first).to_contain_text("29 documents, 58 chunks")
    rows.nth(1).locator("summary").click()
    rows.nth(1).get_by_role("button", name="Delete (without a name)").click()
    page.locator("dialog button.danger").click()
    expect(rows).to_have_count(1)
    rows.first.get_by_role("button", name="Delete the collection").click()
    expect(page.locator("dialog")).to_contain_text("29 documents with 58 chunks")
    page.locator("dialog button.danger").click()
    expect(page.locator("#page")).to_contain_text("Nothing is indexed yet")


def test_runs_are_filtered_and_one_under_way_is_stopped(visit, site):
    run(site, "slow", "filtered", 1)
    run(site, "echo", "filtered", 1)
    window = visit()
    page = window.sign_in("#flow=slow&session=filtered")
    page.click("#tab-runs")
    page.check("#only")
    rows = page.locator(".runs-list > li")
    expect(rows).to_have_count(1)
    page.select_option("#run-flows", "all")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("Echo")
    page.select_option("#run-flows", "")
    page.select_option("#run-state", "error")
    expect(page.locator("fr-runs")).to_contain_text("No run matches.")
    page.select_option("#run-state", "")
    window.say("400", wait=False)
    expect(rows.first).to_have_attribute("data-state", "running")
    rows.first.get_by_role("button", name="Stop the run").click()
    expect(rows.first.get_by_role("button", name="Compare")).to_be_visible()
    window.rest()
    expect(rows.first).to_have_attribute("data-state", "cancelled")
    expect(rows.first).to_contain_text("stopped")
    page.select_option("#run-state", "cancelled")
    expect(rows).to_have_count(1)


def test_the_id_of_a_run_is_found_in_the_log(visit, site):
    window = visit()
    page = window.sign_in("#flow=broken&session=logged")
    window.say("this")
    page.click("#tab-runs")
    page.locator(".runs-list summary").first.click()
    shown = page.locator(".run .note").first.inner_text()
    run_id = shown.removeprefix("Run ")
    expect(page.locator("article.failed")).to_be_visible()
    site.server.wait_for(lambda: run_id in site.server.output, "the line about the run")
    (line,) = [line for line in site.server.output.splitlines() if f"run {run_id}" in line]
    assert "nothing can be done with this" in line


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing(page_of, axe, colours):
    options = {"color_scheme": colours, "reduced_motion": "reduce"}
    page = page_of("memory", admin=True, **options)
    page.fill("#rules", "age=1d")
    page.get_by_role("button", name="What would be removed?").click()
    expect(page.locator(".card table")).to_be_visible()
    page.fill("#memory-search", "zebra")
    page.press("#memory-search", "Enter")
    expect(page.locator(".found li").first).to_be_visible()
    assert _findings(page, axe) == []
    page = page_of("documents", **options)
    assert _findings(page, axe) == []


def test_a_phone_has_room_for_them(page_of):
    phone = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}
    for view in ("memory", "documents"):
        page = page_of(view, admin=view == "memory", **phone)
        expect(page.get_by_role("link", name="Chat")).to_be_visible()
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        page.get_by_role("link", name="Chat").click()
        expect(page.locator("#text")).to_be_visible()


@pytest.mark.parametrize("view", ["constructor", "__proto__", "nothing"])
def test_a_link_to_a_page_that_is_none_leads_to_the_conversation(visit, view):
    page = visit().sign_in(f"#flow=echo&session=no-page&view={view}")
    expect(page.locator("#text")).to_be_visible()
    expect(page.locator("#page")).to_be_hidden()
