"""The example sites in a real browser: the chat box at work, and what pages of other sites try in vain."""

from __future__ import annotations

import pytest

from tests.embedding.browser import RUN, attacker, browser, example, serve, shop, window
from tests.embedding.conftest import close_runners

__all__ = ["attacker", "browser", "shop", "window"]


def log_in(page, place, name="ann"):
    page.goto(f"{place.url}/login")
    page.fill("#name", name)
    page.fill("#password", name)
    page.click("#login")
    page.wait_for_url(f"{place.url}/")


def say(page, text):
    page.fill("flowrunner-chat textarea", text)
    page.press("flowrunner-chat textarea", "Enter")


def shown(page):
    from playwright.sync_api import expect

    return expect(page.locator("flowrunner-chat .message"))


WELCOME = "I repeat what you say, and I remember it."
GREETING = "Which order is it about?"
ANSWER = "Order 10 (a kettle) is being packed."


class TestChatBox:
    def test_it_answers_remembers_and_starts_afresh(self, window, shop):
        log_in(window, shop)
        shown(window).to_have_text([GREETING])
        say(window, "Where is order 10?")
        shown(window).to_have_text([GREETING, "Where is order 10?", ANSWER])
        window.reload()
        shown(window).to_have_text([GREETING, "Where is order 10?", ANSWER])
        window.click("flowrunner-chat button.fresh")
        shown(window).to_have_text([GREETING])
        window.reload()
        shown(window).to_have_text([GREETING])

    def test_the_next_person_at_this_browser_sees_nothing(self, window, shop):
        log_in(window, shop)
        say(window, "My order is 10")
        shown(window).to_have_text([GREETING, "My order is 10", ANSWER])
        kept = window.evaluate("JSON.stringify(localStorage)")
        window.click("#logout")
        window.wait_for_url("**/login*")
        log_in(window, shop, "bob")
        shown(window).to_have_text([GREETING])
        assert window.evaluate("JSON.stringify(localStorage)") == kept
        say(window, "and 10?")
        shown(window).to_have_text([GREETING, "and 10?", "I know no such order of yours."])
        window.click("#logout")
        log_in(window, shop)
        shown(window).to_have_text([GREETING, "My order is 10", ANSWER])

    def test_what_is_said_is_text(self, window, shop):
        log_in(window, shop)
        hostile = "<img src=x onerror=\"console.error('xss')\"><b>10</b>"
        say(window, hostile)
        shown(window).to_have_text([GREETING, hostile, ANSWER])
        assert window.locator("flowrunner-chat .message img").count() == 0

    def test_the_site_gives_it_its_colours(self, window, shop):
        log_in(window, shop)
        button = window.locator("flowrunner-chat button.send")
        assert button.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(138, 47, 95)"

    def test_below_the_strictest_policy(self, window, shop):
        log_in(window, shop)
        window.goto(f"{shop.url}/strict")
        say(window, "10?")
        shown(window).to_have_text(["10?", ANSWER])
        button = window.locator("flowrunner-chat button.send")
        assert button.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(47, 95, 208)"

    def test_a_person_without_a_mouse(self, window, shop):
        log_in(window, shop)
        log = window.get_by_role("log")
        window.get_by_label("Write a message").fill("10?")
        window.keyboard.press("Tab")
        window.keyboard.press("Enter")
        from playwright.sync_api import expect

        expect(log).to_contain_text(ANSWER)

    def test_who_was_logged_out_meanwhile_hears_so(self, window, shop):
        log_in(window, shop)
        shown(window).to_have_text([GREETING])
        window.context.clear_cookies()
        say(window, "10?")
        shown(window).to_have_text([GREETING, "10?", "You are not logged in."])
        window.complaints.clear()


class TestForgedRequests:
    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
    @pytest.mark.parametrize("where", ["url", "other_site"])
    def test_a_form_of_another_page_does_nothing(self, window, shop, attacker, kind, where):
        log_in(window, shop)
        before = shop.messages()
        window.goto(f"{getattr(attacker, where)}/form?to={shop.url}{RUN}&kind={kind}", wait_until="commit")
        window.wait_for_url(f"{shop.url}{RUN}")
        answer = window.locator("body").inner_text()
        # From the same site (another port of it) the cookie came along, and the check is what refused.
        if where == "url":
            assert '"code":"csrf_missing"' in answer
        assert '"detail"' in answer
        assert shop.messages() == before
        window.complaints.clear()

    @pytest.mark.parametrize("where", ["url", "other_site"])
    def test_a_script_of_another_page_does_nothing(self, window, shop, attacker, where):
        log_in(window, shop)
        before = shop.messages()
        window.goto(f"{getattr(attacker, where)}/empty")
        tried = window.evaluate(
            """async (to) => {
                const body = JSON.stringify({ input_value: "forged", session_id: "forged" });
                const ways = [
                    { mode: "no-cors", headers: { "Content-Type": "text/plain" } },
                    { mode: "no-cors", headers: { "Content-Type": "application/json" } },
                    { headers: { "Content-Type": "application/json" } },
                    { headers: { "Content-Type": "application/json", "X-Flowrunner": "1" } },
                    { headers: { "Content-Type": "application/json", "X-Requested-With": "XMLHttpRequest" } },
                ];
                const seen = [];
                for (const way of ways) {
                    try {
                        const answer = await fetch(to, { method: "POST", credentials: "include", body, ...way });
                        seen.push(answer.type);
                    } catch (error) {
                        seen.push("refused");
                    }
                }
                navigator.sendBeacon(to, new Blob([body], { type: "text/plain" }));
                return seen;
            }""",
            f"{shop.url}{RUN}",
        )
        assert tried == ["opaque", "opaque", "refused", "refused", "refused"]
        read = window.evaluate(
            "(to) => fetch(to, { credentials: 'include' }).then(() => 'read', () => 'refused')",
            f"{shop.url}/assistant/api/v1/monitor/messages",
        )
        assert read == "refused"
        assert shop.messages() == before
        window.complaints.clear()

    @pytest.mark.parametrize(
        ("where", "path"),
        [
            ("url", "/assistant/playground"),
            ("other_site", "/assistant/playground"),
            ("url", "/assistant/api/v1/monitor/messages"),
        ],
    )
    def test_nothing_of_ours_can_be_framed(self, window, shop, attacker, path, where):
        log_in(window, shop)
        window.goto(f"{getattr(attacker, where)}/frame?to={shop.url}{path}")
        framed = window.frames[1]
        framed.wait_for_load_state()
        assert shop.url not in framed.url
        window.complaints.clear()


class TestAddresses:
    def test_no_address_of_ours_leads_elsewhere(self, window, shop):
        log_in(window, shop)
        for path in (
            "/assistant//evil.example/",
            "/assistant/\\\\evil.example",
            "/assistant/?next=https://evil.example",
            "/assistant/%2F%2Fevil.example",
            "/assistant/playground?next=//evil.example",
            "//assistant//evil.example",
        ):
            window.goto(shop.url + path)
            assert window.url.startswith(shop.url + "/"), path
        window.complaints.clear()


class TestCookies:
    def test_the_sites_cookie_is_the_only_one_and_as_the_site_made_it(self, window, shop):
        log_in(window, shop)
        before = window.context.cookies()
        say(window, "10?")
        shown(window).to_have_text([GREETING, "10?", ANSWER])
        after = window.context.cookies()
        assert [cookie["name"] for cookie in after] == ["session"]
        for name in ("httpOnly", "sameSite", "secure", "path", "domain"):
            assert after[0][name] == before[0][name]

    def test_visitors_have_a_cookie_that_scripts_cannot_read(self, browser, tmp_path, monkeypatch):
        monkeypatch.setenv("FLOWRUNNER_DATA_DIR", str(tmp_path))
        with example("site_smallest", "app") as module:
            with serve(module.app) as port:
                seen = []
                for text in ("one", "two"):
                    context = browser.new_context()
                    page = context.new_page()
                    page.goto(f"http://127.0.0.1:{port}/")
                    say(page, text)
                    shown(page).to_have_text([WELCOME, text, f"You said: {text}\nBefore that:\n"])
                    (cookie,) = context.cookies()
                    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == (
                        "flowrunner_visitor",
                        True,
                        "Lax",
                    )
                    assert page.evaluate("document.cookie") == ""
                    seen.append(cookie["value"])
                    page.reload()
                    shown(page).to_have_text([WELCOME, text, f"You said: {text}\nBefore that:\n"])
                    context.close()
                assert seen[0] != seen[1]
            close_runners(module.app)
