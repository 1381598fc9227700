"""For everybody: axe-core finds nothing serious, the keyboard reaches everything, a phone has room for it."""

from __future__ import annotations

import pytest

expect = pytest.importorskip("playwright.sync_api").expect

_PHONE = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}


def _findings(page, axe):
    if page.evaluate("() => typeof axe") == "undefined":
        page.evaluate(axe)
    # Of what is well it need not tell where it is.
    found = page.evaluate("async () => (await axe.run({ resultTypes: ['violations'] })).violations")
    return [
        (one["id"], [node["html"][:120] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical", "moderate")
    ]


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing(visit, axe, colours):
    window = visit(color_scheme=colours, reduced_motion="reduce")
    page = window.sign_in(f"#flow=steps&session=axe-{colours}")
    window.say("**look** at `this`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[link](https://example.org)")
    expect(page.locator("article table").first).to_be_visible()
    page.locator("article details summary").first.click()
    page.locator(".facts-list summary").first.click()
    page.locator("svg [data-vertex='1']").click()
    assert _findings(page, axe) == []
    page.click("#tab-timeline")
    expect(page.locator(".timeline tbody tr")).to_have_count(3)
    assert _findings(page, axe) == []
    page.click("#tab-runs")
    page.locator(".runs-list summary").first.click()
    expect(page.locator(".run details").first).to_be_visible()
    page.get_by_role("button", name="Rename").click()
    assert _findings(page, axe) == []


def test_axe_finds_nothing_on_a_phone(visit, axe):
    window = visit(**_PHONE)
    page = window.sign_in("#flow=broken&session=axe-phone")
    window.say("oh")
    expect(page.locator("article.failed")).to_be_visible()
    assert _findings(page, axe) == []
    for view in ("sessions", "facts"):
        page.click(f"[data-goto={view}]")
        assert _findings(page, axe) == []


def test_a_phone_shows_one_thing_at_a_time_and_never_scrolls_sideways(visit):
    window = visit(**_PHONE)
    page = window.sign_in("#flow=echo&session=phone")
    window.say("x" * 300)
    expect(page.locator("article")).to_have_count(2)
    for view, shown in (("chat", "fr-conversation"), ("sessions", "fr-sessions"), ("facts", "fr-graph")):
        page.click(f"[data-goto={view}]")
        for one in ("fr-conversation", "fr-sessions", "fr-graph"):
            assert page.locator(one).is_visible() == (one == shown)
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_a_long_session_id_leaves_room_for_the_conversation(visit):
    window = visit(viewport={"width": 320, "height": 600})
    page = window.sign_in(f"#flow=echo&session={'x' * 1500}")
    window.say("hello")
    expect(page.locator(".facts")).to_contain_text("the request named it")
    height = "(name) => document.querySelector(name).getBoundingClientRect().height"
    assert page.evaluate(height, ".facts") < 60
    assert page.evaluate(height, ".log") > 150
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_everything_is_done_with_the_keyboard(visit):
    window = visit()
    page = window.sign_in("#flow=slow&session=keyboard")
    page.keyboard.press("Control+Home")
    page.evaluate("() => document.activeElement.blur()")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.type("first line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second")
    assert page.input_value("#text") == "first line\nsecond"
    page.fill("#text", "400")
    page.keyboard.press("Enter")
    expect(page.locator("article.theirs")).to_contain_text("word2")
    page.keyboard.press("Escape")
    expect(page.locator(".notice.stopped")).to_be_visible()
    window.rest()
    page.focus("#tab-graph")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-timeline")).to_be_focused()
    expect(page.locator("fr-timeline")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-runs")).to_be_focused()
    expect(page.locator("fr-runs")).to_be_visible()
    page.locator("article.theirs").get_by_role("button", name="Delete").focus()
    page.keyboard.press("Enter")
    expect(page.locator("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    expect(page.locator("article")).to_have_count(2)


def test_answers_are_announced(visit):
    window = visit()
    page = window.sign_in("#flow=echo&session=announced")
    window.say("hear me")
    expect(page.get_by_role("status")).to_have_text("Answer: hear me")
    assert page.get_by_role("log").get_attribute("aria-live") == "off"


def test_axe_finds_nothing_in_what_one_works_with(visit, axe):
    window = visit(reduced_motion="reduce", color_scheme="dark")
    page = window.sign_in("#flow=steps&session=axe-empty")
    expect(page.get_by_role("region", name="About the flow")).to_be_visible()
    page.locator("input[type=file]").set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"a"})
    expect(page.locator(".attachments li")).to_have_count(1)
    assert _findings(page, axe) == []
    window.say("```python\ndef f(): return 'a'  # 1\n```")
    expect(page.locator(".code .c-word").first).to_be_visible()
    page.fill("#filter", "return")
    expect(page.locator(".hits li").first).to_be_visible()
    assert _findings(page, axe) == []
    page.get_by_role("button", name="Use in code").click()
    assert _findings(page, axe) == []
