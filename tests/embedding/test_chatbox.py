"""The chat box: what a template gets, and the two files that it needs."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from flask import Flask, get_template_attribute, render_template_string

from flowrunner import FlowNotFound, FlowRunner, SettingsInvalid
from tests.embedding.conftest import close_runners
from tests.embedding.sites import FLOWS, author_by_header, by_header

QUIET = {"memory": "in-memory", "run_log": False}


class Tags(HTMLParser):
    """Collects start tags with their attributes, and whatever stands between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def render(site, source, path="/", **values):
    with site.test_request_context(path):
        return render_template_string(source, **values)


class TestTemplate:
    def test_an_element_and_its_script(self, mounted):
        found = Tags(render(mounted, "{{ flowrunner_chat('basic-chat') }}"))
        assert [tag for tag, _ in found.tags] == ["flowrunner-chat", "script"]
        box, script = (attributes for _, attributes in found.tags)
        assert box["flow"] == "basic-chat"
        assert box["api"] == "/assistant/api/v1"
        assert re.fullmatch(r"/assistant/chatbox/chatbox\.css\?v=[0-9a-f]{12}", box["look"])
        assert re.fullmatch(r"/assistant/chatbox/chatbox\.js\?v=[0-9a-f]{12}", script["src"])
        assert script["type"] == "module"

    def test_nothing_in_it_needs_an_exception_from_a_strict_policy(self, mounted):
        found = Tags(render(mounted, "{{ flowrunner_chat('basic-chat', heading='x') }}"))
        assert found.text == ""
        for _, attributes in found.tags:
            assert not [name for name in attributes if name.startswith("on") or name == "style"]

    def test_words_are_attributes_and_never_markup(self, mounted):
        hostile = '"><script>alert(1)</script>'
        source = "{{ flowrunner_chat('basic-chat', heading=bad, session_id=bad, nonce=bad, class_='x') }}"
        found = Tags(render(mounted, source, bad=hostile))
        assert [tag for tag, _ in found.tags] == ["flowrunner-chat", "script"]
        box, script = (attributes for _, attributes in found.tags)
        assert box["heading"] == box["session-id"] == box["nonce"] == script["nonce"] == hostile
        assert box["class"] == "x"

    def test_in_a_macro_of_an_imported_template(self, mounted, tmp_path):
        folder = tmp_path / "templates"
        folder.mkdir()
        (folder / "boxes.html").write_text("{% macro box() %}{{ flowrunner_chat('basic-chat') }}{% endmacro %}")
        assert "<flowrunner-chat" in render(mounted, "{% from 'boxes.html' import box %}{{ box() }}")
        assert "<flowrunner-chat" in render(mounted, "{% from 'boxes.html' import box %}{{ box() }}")

    def test_in_a_macro_that_is_called_before_any_template_is_rendered(self, mounted, tmp_path):
        folder = tmp_path / "templates"
        folder.mkdir()
        (folder / "boxes.html").write_text("{% macro box() %}{{ flowrunner_chat('basic-chat') }}{% endmacro %}")
        with mounted.test_request_context("/"):
            assert "<flowrunner-chat" in get_template_attribute("boxes.html", "box")()

    def test_in_an_app_that_has_made_its_template_environment(self, site):
        assert "flowrunner_chat" not in site.jinja_env.globals
        FlowRunner(site, url_prefix="/assistant", identity=by_header, **QUIET)
        assert "<flowrunner-chat" in render(site, "{{ flowrunner_chat('basic-chat') }}")

    def test_a_flow_that_is_not_there(self, mounted, caplog):
        with pytest.raises(FlowNotFound, match="suport"):
            render(mounted, "{{ flowrunner_chat('suport') }}")
        mounted.testing = False
        assert "<flowrunner-chat" in render(mounted, "{{ flowrunner_chat('suport') }}")
        assert "suport" in caplog.text

    @pytest.mark.parametrize(
        ("options", "is_said"),
        [({}, True), ({"identity": by_header}, False), ({"auth": "none"}, False)],
        ids=["nobody is identified", "identity", "open"],
    )
    def test_a_site_that_says_not_who_its_users_are(self, tmp_path, caplog, options, is_said):
        site = Flask("site", instance_path=str(tmp_path))
        FlowRunner(site, url_prefix="/assistant", flows_dir=FLOWS, **{**QUIET, **options})
        for _ in range(2):
            render(site, "{{ flowrunner_chat('basic-chat') }}")
        said = [record.message for record in caplog.records if "identity=" in record.message]
        assert len(said) == is_said
        close_runners(site)

    def test_a_flow_of_the_visitors_own(self, site):
        FlowRunner(site, url_prefix="/assistant", identity=author_by_header, api=["flows"], **QUIET)
        client, headers = site.test_client(), {"X-Checked-User": "ann", "X-Flowrunner": "1"}
        flow = {"name": "Mine", "endpoint_name": "mine", "data": {"nodes": [], "edges": []}}
        assert client.post("/assistant/api/v1/flows/", json=flow, headers=headers).status_code == 201

        def shown(user):
            with site.test_request_context("/", headers={"X-Checked-User": user}):
                return render_template_string("{{ flowrunner_chat('mine') }}")

        assert "<flowrunner-chat" in shown("ann")
        with pytest.raises(FlowNotFound):
            shown("bob")

    def test_one_of_several_runners(self, mounted):
        FlowRunner(mounted, url_prefix="/staff", name="staff", identity=by_header, flows_dir="flows", **QUIET)
        assert 'api="/staff/api/v1"' in render(mounted, "{{ flowrunner_chat('own', runner='staff') }}")
        assert 'api="/assistant/api/v1"' in render(mounted, "{{ flowrunner_chat('basic-chat') }}")

    def test_a_runner_on_another_host_than_the_page(self, tmp_path, caplog):
        """Browsers would neither load the script from there nor send the login."""
        site = Flask("site", instance_path=str(tmp_path), root_path=str(tmp_path), subdomain_matching=True)
        site.config["SERVER_NAME"] = "example.test"
        FlowRunner(site, subdomain="chat", identity=by_header, flows_dir=str(FLOWS), **QUIET)
        source = "{{ flowrunner_chat('basic-chat') }}"
        with site.test_request_context("/", base_url="http://chat.example.test"):
            assert 'api="/flowrunner/api/v1"' in render_template_string(source)
        said = r"page at example\.test would call the runner at chat\.example\.test"
        with site.test_request_context("/", base_url="http://example.test"):
            assert "<flowrunner-chat" in render_template_string(source)
            assert re.search(said, caplog.text)
            site.testing = True
            with pytest.raises(SettingsInvalid, match=said):
                render_template_string(source)
        with site.app_context():
            assert 'api="http://chat.example.test/flowrunner/api/v1"' in render_template_string(source)
        close_runners(site)

    @pytest.fixture
    def mounted(self, mounted, tmp_path):
        flows = tmp_path / "flows"
        flows.mkdir()
        (flows / "own.json").write_text('{"name": "Own", "components": {"a": {"type": "ChatOutput"}}, "edges": []}')
        return mounted


class TestFiles:
    @pytest.mark.parametrize(("name", "kind"), [("chatbox.js", "text/javascript"), ("chatbox.css", "text/css")])
    def test_they_are_kept_by_browsers_and_known_by_their_content(self, mounted, name, kind):
        client = mounted.test_client()
        answer = client.get(f"/assistant/chatbox/{name}")
        assert (answer.status_code, answer.mimetype) == (200, kind)
        assert answer.headers["Cache-Control"] == "public, max-age=604800"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        again = client.get(f"/assistant/chatbox/{name}", headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")

    @pytest.mark.parametrize(
        "name", ["chatbox.py", "..%2f..%2fauth.py", "../../auth.py", "%2e%2e/site.py", "chatbox.js%00"]
    )
    def test_there_are_no_others(self, mounted, name):
        assert mounted.test_client().get(f"/assistant/chatbox/{name}").status_code == 404

    def test_a_guard_does_not_keep_them_from_the_sites_pages(self, site):
        FlowRunner(site, url_prefix="/assistant", identity=by_header, guard=lambda request: False, **QUIET)
        assert site.test_client().get("/assistant/chatbox/chatbox.js").status_code == 200

    def test_the_script_makes_no_markup_of_what_is_said(self, mounted):
        script = mounted.test_client().get("/assistant/chatbox/chatbox.js").text
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "style=",
        ):
            assert word not in script
