"""200 hostile texts in every place where the page shows text: none of them does anything."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from flowrunner import Chunk
from flowrunner.app import create_app, runner_of
from flowrunner.store.keys import owner_of_user
from tests.playground.hostile import hostile_texts

expect = pytest.importorskip("playwright.sync_api").expect

#: What the page itself is made of, and what Markdown may become.
_ALLOWED = """
  const known = new Set(("html head meta title link script body header h1 h2 h3 h4 h5 h6 label span select option"
    + " button div main section nav dialog form input textarea a p ul ol li fr-sessions fr-conversation fr-graph"
    + " fr-runs fr-timeline"
    + " aside h3 caption article strong em s time pre code details summary dl dt dd table thead tbody tr th td svg defs"
    + " marker path g rect circle text br hr blockquote noscript").split(" "));
  const found = [];
  for (const element of document.querySelectorAll("*")) {
    if (!known.has(element.localName)) found.push(element.outerHTML);
    for (const { name, value } of element.attributes) {
      if (name.startsWith("on") || name === "style") found.push(element.outerHTML);
      if (name === "href" && !/^(#|https?:\\/\\/|mailto:|playground\\/)/.test(value)) found.push(element.outerHTML);
    }
  }
  if (document.scripts.length !== 1) found.push("scripts");
  if (window.harmed !== undefined) found.push("harmed");
  return found;
"""


@pytest.fixture
def said(site):
    """Put the texts everywhere: in messages, their senders and steps, sessions, flows, components, errors."""
    calls = requests.Session()
    calls.headers.update({"x-api-key": site.key})
    base = f"{site.url}/api/v1"
    texts = hostile_texts()
    vertices = [_vertex(number, text) for number, text in enumerate(texts)]
    made = calls.post(
        f"{base}/flows/", json={"name": texts[0], "endpoint_name": "hostile", "data": {"nodes": vertices, "edges": []}}
    )
    assert made.status_code == 201, made.text
    for number in (31, 95, 150):
        assert calls.post(f"{base}/flows/", json={"name": texts[number], "data": {"nodes": [], "edges": []}}).ok

    # Names of collections and documents, as a flow gives them.
    app = create_app(data_dir=site.data, auth="none")
    vectors = runner_of(app).vectors.for_owner(owner_of_user("ann"))
    for there in vectors.collections():
        vectors.delete(there.name)
    for text in texts[::20]:
        vectors.upsert(text[:500], [Chunk("c", text, [1.0], text[:500])])
    runner_of(app).close()

    def run(text, session):
        body = {"input_value": text, "session_id": session}
        answer = requests.post(f"{base}/run/steps", json=body, headers=calls.headers, timeout=60)
        assert answer.status_code == 200, (text, answer.text)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, texts, texts))
    for text in texts:
        run(text, "all")
    for text in texts[::10]:
        calls.post(f"{base}/run/broken", json={"input_value": text, "session_id": "errors"}, timeout=60)
    rows = calls.get(f"{base}/monitor/messages?session_id=all&limit=200").json()
    for row, text in zip(rows, texts, strict=False):
        changed = calls.put(f"{base}/monitor/messages/{row['id']}", json={"sender_name": text})
        assert changed.status_code == 200
    return texts


def _vertex(number, text):
    return {
        "id": text if number % 2 else f"ChatInput-{number}",
        "position": None,
        "data": {
            "id": text,
            "type": "ChatInput",
            "node": {"display_name": text, "description": text, "template": {}, "outputs": []},
        },
    }


def test_hostile_texts_do_nothing(visit, said):
    window = visit()
    page = window.sign_in("#flow=steps&session=all")
    page.on("dialog", lambda dialog: window.complaints.append(f"dialog: {dialog.message}"))
    articles = page.locator("article")
    expect(articles.first).to_be_visible()
    _load_all(page, ".log", "article", 2 * len(said))
    page.evaluate("() => document.querySelectorAll('article details').forEach((one) => { one.open = true; })")
    assert _alien(page) == []
    _load_all(page, "fr-sessions .scroller", ".sessions li", len(said) + 1)
    assert _alien(page) == []
    page.click("#tab-runs")
    summaries = page.locator(".runs-list > li > details > summary")
    expect(summaries.nth(2)).to_be_visible()
    for number in range(3):
        summaries.nth(number).click()
    expect(page.locator(".run .said").nth(2)).to_be_visible()
    assert _alien(page) == []
    for number in (5, 77, 120, 199):
        page.locator(".sessions a").nth(number).click()
        expect(articles).to_have_count(2)
        assert _alien(page) == []
    page.goto(f"{window.site.url}/playground#flow=hostile&session=x")
    page.reload()
    page.click("#tab-graph")
    expect(page.locator("svg [data-vertex]")).to_have_count(len(said))
    page.evaluate("() => document.querySelectorAll('.facts-list details').forEach((one) => { one.open = true; })")
    assert _alien(page) == []
    page.goto(f"{window.site.url}/playground#flow=broken&session=errors")
    page.reload()
    expect(page.locator("article.failed").first).to_be_visible()
    page.click("#tab-timeline")
    expect(page.locator(".timeline tbody tr")).to_have_count(3)
    assert _alien(page) == []
    page.get_by_role("link", name="Memory").click()
    expect(page.locator("#page tbody tr")).to_have_count(100)
    page.fill("#memory-search", "harmed")
    page.press("#memory-search", "Enter")
    expect(page.locator(".found li").first).to_be_visible()
    assert _alien(page) == []
    page.get_by_role("link", name="Documents").click()
    rows = page.locator(".collection")
    expect(rows).to_have_count(len(said[::20]))
    for number in range(rows.count()):
        rows.nth(number).locator("summary").click()
        expect(rows.nth(number).locator("tbody tr")).to_have_count(1)
    assert _alien(page) == []


@pytest.mark.parametrize("place", ["flow", "session", "run", "message", "view"])
def test_hostile_addresses_do_nothing(visit, place):
    window = visit()
    page = window.sign_in("#flow=echo&session=x")
    for text in hostile_texts()[::20]:
        page.evaluate(f"(text) => {{ location.hash = new URLSearchParams({{ {place}: text }}); }}", text)
        assert _alien(page) == []
    # Of a flow and a run that are not there.
    window.complaints = [text for text in window.complaints if "404" not in text and "422" not in text]


def _alien(page):
    return page.evaluate(f"() => {{ {_ALLOWED} }}")


def _load_all(page, scroller, items, number):
    """Scroll to the older end until everything is there."""
    up = scroller == ".log"
    for _ in range(40):
        if page.locator(items).count() >= number:
            return
        page.evaluate(
            "([s, up]) => { const one = document.querySelector(s); one.scrollTop = up ? 0 : 1e9; }", [scroller, up]
        )
        page.wait_for_timeout(150)
    raise AssertionError(f"{page.locator(items).count()} of {number} {items}")
