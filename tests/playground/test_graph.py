"""The graph looked at: sixty components that can be read, moved and found, and what went through each."""

from __future__ import annotations

import pytest
import requests

from tests.playground.large_flow import chain, field

expect = pytest.importorskip("playwright.sync_api").expect

COUNT = 60
SHAPES = {"chain60": chain(COUNT), "field60": field(COUNT), "placed60": field(COUNT, placed=True)}

#: Pixels of each text that is to be read, and what part of the boxes stands in the window.
_SEEN = """
() => {
  const canvas = document.querySelector(".stage .canvas").getBoundingClientRect();
  const svg = document.querySelector(".stage svg.flow");
  const scale = svg.getScreenCTM().a;
  const sizes = [], names = [];
  let inside = 0;
  for (const box of svg.querySelectorAll("[data-vertex]")) {
    const { left, right, top, bottom } = box.querySelector(".box").getBoundingClientRect();
    if (left < canvas.left - 1 || right > canvas.right + 1) continue;
    if (top < canvas.top - 1 || bottom > canvas.bottom + 1) continue;
    inside += 1;
    for (const text of box.querySelectorAll("text")) {
      if (!text.textContent || getComputedStyle(text).display === "none") continue;
      const spot = text.getBoundingClientRect();
      sizes.push(parseFloat(getComputedStyle(text).fontSize) * scale);
      if (spot.right > right + 1 || spot.bottom > bottom + 1 || spot.top < top - 1) names.push(text.textContent);
    }
  }
  return { inside, least: Math.min(...sizes), texts: sizes.length, outside: names };
}
"""


@pytest.fixture(scope="module")
def flows(site):
    """Store the large flows."""
    headers = {"x-api-key": site.key}
    for name, data in SHAPES.items():
        body = {"name": name, "endpoint_name": name, "data": data}
        made = requests.post(f"{site.url}/api/v1/flows/", json=body, headers=headers, timeout=60)
        assert made.status_code == 201, made.text


@pytest.fixture
def page_of(visit, flows):
    def open_page(flow, session="looked-at", **options):
        window = visit(**{"viewport": {"width": 1360, "height": 800}, **options})
        page = window.sign_in(f"#flow={flow}&session={session}")
        expect(page.locator("svg [data-vertex='0']")).to_be_attached()
        return page

    return open_page


def view_of(page):
    return [float(number) for number in page.locator("svg.flow").get_attribute("viewBox").split()]


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_sixty_components_are_read_at_the_first_fit_and_all_of_them_one_click_away(page_of, shape):
    page = page_of(shape)
    seen = page.evaluate(_SEEN)
    assert seen["least"] >= 9 and seen["inside"] > 3
    assert seen["outside"] == []
    page.get_by_role("button", name="Full screen").click()
    expect(page.locator("dialog.full")).to_be_visible()
    page.wait_for_function(f"() => ({_SEEN})().inside === {COUNT}")
    seen = page.evaluate(_SEEN)
    assert seen["least"] >= 9 and seen["texts"] >= COUNT
    assert seen["outside"] == [], "names stay within their boxes"
    page.keyboard.press("Escape")
    expect(page.locator("dialog.full")).to_have_count(0)
    expect(page.get_by_role("button", name="Full screen")).to_be_focused()


def test_levels_of_detail(page_of):
    page = page_of("field60")
    drawn = page.locator("svg.flow")
    expect(drawn).to_have_attribute("data-level", "name")
    page.get_by_role("button", name="Whole").click()
    expect(drawn).to_have_attribute("data-level", "box")
    expect(page.locator(".map")).to_be_hidden()
    assert page.evaluate(_SEEN)["inside"] == COUNT
    page.get_by_role("button", name="Fit").click()
    for _ in range(4):
        page.get_by_role("button", name="Zoom in").click()
    expect(drawn).to_have_attribute("data-level", "full")
    expect(page.locator("svg [data-vertex='30'] .note")).to_have_text("ChatOutput")
    expect(page.locator(".map")).to_be_visible()


def test_mouse_wheel_and_map_move_it(page_of):
    page = page_of("field60")
    spot = page.locator(".stage .canvas").bounding_box()
    x, y = spot["x"] + spot["width"] / 2, spot["y"] + spot["height"] / 3
    before = view_of(page)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 120, y - 10, steps=4)
    page.mouse.up()
    moved = view_of(page)
    assert moved[0] > before[0] and moved[2:] == before[2:]
    assert page.locator(".drawer").is_hidden(), "to move is not to choose"
    page.mouse.wheel(0, -300)
    page.wait_for_function(
        "(before) => parseFloat(document.querySelector('svg.flow').getAttribute('viewBox').split(' ')[2]) < before",
        arg=moved[2],
    )
    near = view_of(page)
    # What was under the pointer stays there.
    part = 0.5 - 120 / spot["width"]
    assert near[0] + near[2] * part == pytest.approx(moved[0] + moved[2] * part, abs=3 / 0.3)
    corner = page.locator(".map").bounding_box()
    page.mouse.click(corner["x"] + corner["width"] - 3, corner["y"] + corner["height"] / 2)
    assert view_of(page)[0] > near[0] + 500


def test_the_map_is_dragged(page_of):
    page = page_of("field60")
    spot = page.locator(".map").bounding_box()
    before = view_of(page)
    page.mouse.move(spot["x"] + 10, spot["y"] + spot["height"] / 2)
    page.mouse.down()
    page.mouse.move(spot["x"] + spot["width"] - 10, spot["y"] + spot["height"] / 2, steps=4)
    page.mouse.up()
    assert view_of(page)[0] > before[0] + 1000
    assert view_of(page)[2:] == before[2:]
    expect(page.locator(".drawer")).to_be_hidden()


def test_another_flow_takes_neither_the_focus_nor_the_search_along(page_of):
    page = page_of("field60")
    page.get_by_role("searchbox", name="Find a component").fill("split text 5")
    # 5, 53 and 59.
    expect(page.locator("svg .hit")).to_have_count(3)
    page.locator("svg [data-vertex='5']").click()
    expect(page.locator(".drawer")).to_be_visible()
    page.focus("#text")
    page.select_option("#flow", "echo")
    expect(page.locator("svg [data-vertex]")).to_have_count(2)
    expect(page.locator(".drawer")).to_be_hidden()
    expect(page.locator("#text")).to_be_focused()
    expect(page.get_by_role("searchbox", name="Find a component")).to_have_value("")
    page.keyboard.type("typed on")
    expect(page.locator("#text")).to_have_value("typed on")


def test_the_keyboard_moves_it(page_of):
    page = page_of("field60")
    canvas = page.locator(".stage .canvas")
    canvas.focus()
    before = view_of(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    moved = view_of(page)
    assert moved[0] > before[0] and moved[1] > before[1]
    page.keyboard.press("+")
    assert view_of(page)[2] < moved[2]
    page.keyboard.press("w")
    assert page.evaluate(_SEEN)["inside"] == COUNT
    page.keyboard.press("0")
    assert view_of(page) == before
    page.keyboard.press("f")
    expect(page.locator("dialog.full")).to_be_visible()
    expect(canvas).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Find a component")).to_be_focused()
    page.keyboard.type("history 58")
    expect(page.get_by_role("status")).to_contain_text(f"1 of {COUNT} components")
    page.keyboard.press("Enter")
    expect(page.locator(".drawer h3")).to_have_text("Message History 58")
    page.keyboard.press("Escape")
    expect(page.locator("svg .hit")).to_have_count(0)
    expect(page.locator("dialog.full")).to_be_visible()


def test_two_fingers_zoom_and_one_moves(page_of):
    page = page_of("field60", viewport={"width": 390, "height": 780}, has_touch=True, is_mobile=True)
    page.click("[data-goto=facts]")
    canvas = page.locator(".stage .canvas")
    spot = canvas.bounding_box()
    touch = page.context.new_cdp_session(page)
    x, y = spot["x"] + spot["width"] / 2, spot["y"] + 80

    def send(kind, *points):
        spots = [{"x": px, "y": py, "id": number} for number, (px, py) in enumerate(points)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": spots})

    before = view_of(page)
    send("touchStart", (x, y))
    for step in range(1, 5):
        send("touchMove", (x - 20 * step, y))
    send("touchEnd")
    moved = view_of(page)
    assert moved[0] > before[0] and moved[2:] == before[2:]
    send("touchStart", (x - 20, y), (x + 20, y))
    for step in range(1, 5):
        send("touchMove", (x - 20 - 15 * step, y), (x + 20 + 15 * step, y))
    send("touchEnd")
    assert view_of(page)[2] < moved[2] / 1.5
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_a_component_shows_what_went_in_and_came_out(page_of):
    page = page_of("broken", "drawer")
    page.fill("#text", "x" * 3000)
    page.press("#text", "Enter")
    expect(page.locator("svg [data-vertex='1']")).to_have_attribute("data-state", "error")
    page.locator("svg [data-vertex='0']").click()
    drawer = page.locator(".drawer")
    expect(drawer.locator("h3")).to_be_focused()
    expect(drawer).to_contain_text("done")
    # The input and the output.
    expect(drawer.get_by_role("button", name="Show all 3000 characters")).to_have_count(2)
    drawer.get_by_role("button", name="Show all").first.click()
    expect(drawer.locator("pre").first).to_have_text("x" * 3000)
    page.locator("svg [data-vertex='1']").click()
    expect(drawer.locator("h3")).to_have_text("Broken")
    expect(drawer).to_contain_text("from message of Chat Input (question)")
    expect(drawer).to_contain_text("nothing can be done with")
    assert "open-sesame-4711" not in drawer.inner_text(), "the password of the flow is masked"
    assert "Error building Component" not in drawer.inner_text()
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()


def test_who_may_only_talk_sees_no_part_of_a_flow(visit, site, flows):
    made = requests.post(
        f"{site.url}/api/v1/api_key/", json={"flows": ["slow"]}, headers={"x-api-key": site.key}, timeout=30
    ).json()
    window = visit()
    page = window.page
    page.goto(f"{site.url}/playground#flow=slow&session=visitor")
    page.fill("#dialog-field", made["api_key"])
    page.click("dialog button.main")
    expect(page.locator("fr-graph")).to_contain_text("This API key is limited")
    expect(page.get_by_role("link", name="Documents")).to_be_hidden()
    window.say("4")
    expect(page.locator("article.theirs")).to_contain_text("word3")
    page.click("#tab-timeline")
    page.click("#tab-runs")
    page.locator(".runs-list summary").first.click()
    expect(page.locator(".run").first).to_contain_text("Messages")
    for place in ("fr-graph", "fr-timeline", "fr-runs"):
        assert "worker" not in page.locator(place).inner_text()
    window.complaints = [text for text in window.complaints if "403" not in text]
