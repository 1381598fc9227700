"""A long session and a long list of sessions: page by page, to the last one; with -m long 10,000 of each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from flowrunner.app import create_app, runner_of
from flowrunner.memory.message import Message
from flowrunner.store.keys import owner_of_user
from tests.playground.conftest import HERE, Site

expect = pytest.importorskip("playwright.sync_api").expect

#: Scrolls until nothing new comes; gives what was loaded and the longest time in which no frame was drawn.
_SCROLL = """
async ([scroller, items, up, wanted]) => {
  const one = document.querySelector(scroller);
  let longest = 0, last = performance.now(), quiet = 0, seen = 0;
  while (quiet < 600) {
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    one.scrollTop = up ? 0 : one.scrollHeight;
    const there = document.querySelectorAll(items).length;
    quiet = there === seen ? quiet + 1 : 0;
    seen = there;
    if (there >= wanted) break;
  }
  return { loaded: seen, longest: Math.round(longest) };
}
"""


@pytest.fixture(params=[600, pytest.param(10_000, marks=pytest.mark.long)])
def large(request, tmp_path_factory, browser):
    many = request.param
    data = tmp_path_factory.mktemp("large")
    app = create_app(data_dir=data, flows_dir=str(HERE / "flows"), auth="none")
    runner = runner_of(app)
    flow = next(flow.id for flow in runner.library.folders.flows() if flow.endpoint_name == "echo")
    memory = runner.memory.for_owner(owner_of_user("ann"))
    long = [_message("long", f"message **{n}**", flow) for n in range(many)]
    for start in range(0, many, 1000):
        memory.append(long[start : start + 1000])
    # Many at once: the backend writes what comes together in one go.
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda n: memory.append([_message(f"session-{n}", f"hello {n}", flow)]), range(many - 1)))
    runner.close()
    site = Site(data)
    yield site, many
    site.stop()


def _message(session, text, flow):
    return Message(text=text, session_id=session, sender="User", sender_name="User", flow_id=flow)


def test_long_sessions_and_long_lists_load_by_pages(visit, large, record_property):
    site, many = large
    window = visit(site)
    page = window.sign_in("#flow=echo&session=long")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    expect(page.locator("article").last).to_contain_text(str(many - 1))
    assert page.locator("article").count() <= 300, "the newest come first, and only they"
    messages = page.evaluate(_SCROLL, [".log", "article", True, many])
    record_property("messages", str(messages))
    assert messages["loaded"] == many
    expect(page.locator("article .body").first).to_have_text("message 0")
    sessions = page.evaluate(_SCROLL, ["fr-sessions .scroller", ".sessions li", False, many])
    record_property("sessions", str(sessions))
    assert sessions["loaded"] == many
    print(messages, sessions)
    assert not [url for url in asked if "limit=" in url and "limit=100" not in url and "/runs" not in url]
