"""Numbers of any length in queries and paths: refused or answered, never a failure."""

from __future__ import annotations

import pytest

from tests.web.site import open_site

LONG = ("9" * 10, "9" * 18, "9" * 20, "9" * 5_000, "-" + "9" * 20, "1_0" * 10, "1e400", "\u0661" * 20)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with open_site(tmp_path_factory.mktemp("site")) as made:
        made.add_user("ann")
        made.flow_id = made.flow("ann")
        yield made


@pytest.mark.parametrize("number", LONG, ids=range(len(LONG)))
def test_no_number_in_a_query_is_too_long(site, number):
    asked = 0
    for rule in site.app.url_map.iter_rules():
        if "GET" not in rule.methods or not rule.rule.startswith("/api/"):
            continue
        values = dict.fromkeys(rule.arguments, site.flow_id)
        with site.app.test_request_context():
            path = site.app.url_map.bind("localhost").build(rule.endpoint, values)
        for name in ("page", "size", "limit", "offset", "after", "before", "cursor"):
            answer = site.call("ann", "GET", path, query_string={name: number, "flow_id": site.flow_id})
            assert answer.status_code < 500, (path, name, number[:20], answer.get_data(as_text=True))
            asked += 1
    assert asked > 50


@pytest.mark.parametrize("path", ["/api/v1/monitor/transactions", "/api/v1/flows/"])
def test_a_page_of_twenty_digits_is_refused(site, path):
    answer = site.call(
        "ann", "GET", path, query_string={"page": "9" * 20, "size": 50, "flow_id": site.flow_id, "get_all": "false"}
    )
    assert answer.status_code == 422
    assert answer.get_json()["detail"][0]["loc"] == ["query", "page"]
