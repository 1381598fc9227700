"""The description of the API: valid, complete, and what the server really does."""

import contextlib

import pytest
from hypothesis.strategies import booleans
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.web.described import document_of
from tests.web.site import open_endpoints, open_site

#: Routes that are pages and what they load, not API.
PAGES = {"nothing_here", "nothing_at_root", "static", "playground", "playground_file", "front"}


@pytest.fixture
def document(site):
    return site.ask(None, "GET", "/openapi.json")


def test_it_is_valid(document):
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"] == "3.1.0"


def test_every_route_is_described_as_it_is(site, document):
    described = {
        (operation["operationId"], method.upper())
        for path in document["paths"].values()
        for method, operation in path.items()
    }
    there = {
        (rule.endpoint.rsplit(".", 1)[-1], method)
        for rule in site.app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.endpoint.rsplit(".", 1)[-1] not in PAGES
    }
    missing = there - described
    assert not missing, f"routes without a word in flowrunner/web/openapi: {sorted(missing)}"
    assert described <= there


class Emptied(dict):
    """What is kept, where another thread empties it at once."""

    def __setitem__(self, name, value):
        pass


def test_a_description_is_shown_also_where_another_thread_drops_it(site, monkeypatch):
    monkeypatch.setattr(site.app.blueprints["flowrunner"], "descriptions", Emptied())
    assert site.call(None, "GET", "/docs").status_code == 200
    assert site.call(None, "GET", "/openapi.json").status_code == 200


def test_older_names_are_described_as_deprecated(document):
    deprecated = {path for path, found in document["paths"].items() if all("deprecated" in o for o in found.values())}
    assert deprecated == {path for path in document["paths"] if path.startswith("/api/v1/folders/")}


def test_what_needs_no_key_is_what_is_said_to_need_none(site):
    paths = site.ask(None, "GET", "/openapi.json")["paths"].values()
    said = {operation["operationId"] for path in paths for operation in path.values() if not operation["security"]}
    assert said == open_endpoints(site.app) - PAGES


def test_it_says_where_the_paths_lie(tmp_path):
    from flask import Flask

    from flowrunner.extension import FlowRunner

    app = Flask("host")
    runner = FlowRunner(url_prefix="/ai", data_dir=tmp_path, memory="in-memory", api=["openapi"]).init_app(app)
    try:
        found = app.test_client().get("/ai/openapi.json").get_json()
        assert found["servers"] == [{"url": "/ai"}] and "/api/v1/run/{flow}" in found["paths"]
        assert "application/json" not in app.test_client().get("/elsewhere").content_type
    finally:
        runner.close()


def test_it_is_not_sent_again_to_who_has_it(site):
    first = site.call(None, "GET", "/openapi.json")
    again = site.call(None, "GET", "/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304


def test_nothing_is_built_before_it_is_asked_for():
    import subprocess
    import sys

    code = (
        "import sys, tempfile; from flowrunner.app import create_app\n"
        "create_app(data_dir=tempfile.mkdtemp(), memory='in-memory', auth='none').test_client().get('/health')\n"
        "print([name for name in sys.modules if name.startswith(('flowrunner.web.openapi.document', 'apispec'))])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.dear
@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_random_requests_find_no_surprise(tmp_path, right):
    """Requests made of the description, right and wrong ones, get only answers that are described, and never 5xx."""
    schemathesis = pytest.importorskip("schemathesis")
    mode = schemathesis.GenerationMode.POSITIVE if right else schemathesis.GenerationMode.NEGATIVE
    with open_site(tmp_path) as site:
        site.add_user("ann", admin=True)
        real = real_ids(site) if right else {}
        schema = schemathesis.openapi.from_dict(document_of(site.app).document)
        schema.app = site.app
        seen = set()
        for result in schema.get_all_operations():
            operation = result.ok()
            raw = operation.definition.raw
            if raw["operationId"] not in UNTOUCHED and (right or "422" in raw["responses"]):
                seen |= ask_at_random(operation, mode, site.keys["ann"], real)
    assert seen >= ({200, 201, 204, 404} if right else {400, 404, 422})


def ask_at_random(operation, mode, key, real):
    """Send requests to an operation, some of them with ids of things that are there; return the statuses."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis.errors import Unsatisfiable
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    wanted = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]
    seen = set()

    @given(case=operation.as_strategy(generation_mode=mode), there=booleans())
    @settings(
        max_examples=5,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    def ask(case, there):
        if there and real:
            case.path_parameters.update({k: real[k] for k in case.path_parameters if k in real})
            case.query.pop("owner", None)
        seen.add(case.call_and_validate(headers={"x-api-key": key}, checks=wanted).status_code)

    with contextlib.suppress(Unsatisfiable):
        # Nothing can be wrong with a request in which every text is right.
        ask()
    return seen


def test_the_fields_of_a_variable_are_texts(site):
    body = {"name": "v", "value": "x", "type": "Generic", "default_fields": [[]]}
    answer = site.ask("ann", "POST", "/api/v1/variables/", 422, json=body)
    assert answer["detail"][0]["loc"] == ["body", "default_fields"]


#: Operations after which the test itself has no key any more.
UNTOUCHED = {"delete_key", "rotate_key"}


def real_ids(site):
    """Return ids of things that are there, by the name of the path parameter."""
    flow = site.flow("ann")
    site.say("ann", flow, "hello", "s")
    return {
        "flow": flow,
        "flow_id": flow,
        "message_id": site.messages("ann")[0]["id"],
        "session_id": "s",
        "run_id": site.ask("ann", "GET", "/api/v1/runs")["items"][0]["id"],
    }
