"""Figures for Prometheus and spans for OpenTelemetry."""

import os
import subprocess
import sys
import textwrap

import pytest

from flowrunner.errors import SettingsInvalid
from tests.live_server import make_key
from tests.waiting import wait_until
from tests.web.site import flow_through

PLUGINS = "tests/contract/plugins"


@pytest.fixture
def counted(make_site, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR")
    pytest.importorskip("prometheus_client")
    site = make_site(metrics=True, plugins_dir=PLUGINS)
    site.add_user("ann")
    site.add_user("root", admin=True)
    return site


def test_methods_that_clients_make_up_are_one_line(counted):
    for number in range(20):
        counted.call(None, f"MADEUP{number}", "/api/v1/runs")
        counted.call(None, f"MADEUP{number}", "/api/v1/nowhere")
    shown = counted.call("root", "GET", "/metrics").get_data(as_text=True)
    assert "MADEUP" not in shown
    assert shown.count('method="other"') <= 4


def test_ways_to_write_a_type_are_one_line(counted):
    for number in range(10):
        for kind in (f"ChatInput (x{number})", f"ext:e{number}:ChatInputComponent@official"):
            flow = {
                "name": f"f{number}",
                "data": {"nodes": [{"id": "a", "data": {"type": kind, "node": {"template": {}}}}], "edges": []},
            }
            made = counted.ask("ann", "POST", "/api/v1/flows/", 201, json=flow)["id"]
            counted.call("ann", "POST", f"/api/v1/run/{made}", json={"input_value": "x"})
    shown = counted.call("root", "GET", "/metrics").get_data(as_text=True)
    lines = [line for line in shown.splitlines() if line.startswith("flowrunner_components_total")]
    assert lines and all('type="ChatInput"' in line for line in lines), lines


def test_every_label_is_of_a_closed_list(counted):
    """Send what clients may make up, and look at all labels of all figures."""
    from prometheus_client.parser import text_string_to_metric_families

    flow = counted.flow("ann")
    for number in range(20):
        word = f"made-up-{number}"
        for verb in ("GET", "POST", word.upper()):
            counted.call("ann", verb, f"/{word}")
            counted.call("ann", verb, f"/api/v1/run/{word}", json={})
            counted.call(None, verb, f"/api/v1/flows/{word}", headers={"x-api-key": word})
        body = {"input_value": word, "session_id": word, "tweaks": {word: word}}
        counted.call("ann", "POST", f"/api/v1/run/{flow}", json=body, headers={"X-Request-Id": word})
    known = {
        "endpoint": {endpoint.rpartition(".")[2] for endpoint in counted.app.view_functions} | {""},
        "method": {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"},
        "status": {"success", "error", "cancelled", *map(str, range(200, 600))},
        "type": {component.type_name for component in counted.runner.plugins.registry.components()},
        "le": None,
    }
    shown = counted.call("root", "GET", "/metrics").get_data(as_text=True)
    seen = set()
    for family in text_string_to_metric_families(shown):
        for sample in family.samples:
            for label, value in sample.labels.items():
                seen.add(label)
                assert known[label] is None or value in known[label], (sample.name, label, value)
    assert seen == set(known)


def test_requests_runs_and_components_are_counted(counted):
    site = counted
    flow, broken = site.flow("ann"), site.flow("ann", flow_through("Boom", {}))
    for _ in range(3):
        site.say("ann", flow, "hello", "secret-session")
    site.call("ann", "POST", f"/api/v1/run/{broken}", json={"input_value": "x"})
    site.call(None, "GET", "/api/v1/runs")
    shown = site.call("root", "GET", "/metrics").get_data(as_text=True)
    for line in (
        'flowrunner_requests_total{endpoint="run",method="POST",status="200"} 3.0',
        'flowrunner_requests_total{endpoint="run",method="POST",status="500"} 1.0',
        'flowrunner_requests_total{endpoint="list_runs",method="GET",status="403"} 1.0',
        'flowrunner_runs_total{status="success"} 3.0',
        'flowrunner_runs_total{status="error"} 1.0',
        'flowrunner_components_total{status="error",type="Boom"} 1.0',
        'flowrunner_components_total{status="success",type="ChatInput"} 4.0',
        "flowrunner_runs_running 0.0",
        "flowrunner_run_seconds_count 4.0",
    ):
        assert line in shown, line
    assert "secret-session" not in shown and flow not in shown


def test_the_figures_are_an_admins(counted, site):
    counted.ask("ann", "GET", "/metrics", 403)
    counted.ask(None, "GET", "/metrics", 403)
    site.ask("root", "GET", "/metrics", 404)


def test_all_processes_of_a_server_are_counted_together(start_server, tmp_path):
    pytest.importorskip("prometheus_client")
    import requests

    environment = {"FLOWRUNNER_DATA_DIR": str(tmp_path), "FLOWRUNNER_METRICS": "true"}
    folder = tmp_path / "metrics"
    folder.mkdir()
    (folder / "counter_999999999.db").write_bytes(b"left by an earlier server")
    gunicorn = ["gunicorn", "-b", "127.0.0.1:0", "-w", "3", "-k", "gthread", "wsgi:app"]
    server = start_server([*gunicorn, "--log-level", "info"], forked=True, environment=environment)
    headers = {"x-api-key": make_key(tmp_path, "--admin")}

    def count():
        text = requests.get(f"{server.url}/metrics", headers=headers, timeout=30).text
        found = [line for line in text.splitlines() if line.startswith('flowrunner_requests_total{endpoint="version"')]
        return float(found[0].split()[-1]) if found else 0.0

    for _ in range(60):
        # A connection each, so that all processes get some.
        assert requests.get(f"{server.url}/api/v1/version", timeout=30).status_code == 200
    assert [count() for _ in range(6)] == [60.0] * 6
    assert len({path.name for path in folder.glob("counter_*.db")}) > 1


def test_what_is_missing_is_said_in_a_sentence(tmp_path):
    code = textwrap.dedent("""
        import sys
        sys.modules["prometheus_client"] = sys.modules["opentelemetry"] = None
        from flowrunner.errors import SettingsInvalid
        from flowrunner.telemetry.metrics import Metrics
        from flowrunner.telemetry.tracing import Tracing
        for make in (lambda: Metrics(None), Tracing):
            try:
                make()
            except SettingsInvalid as error:
                print(error)
    """)
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert "flask-flowrunner[metrics]" in shown.stdout and "flask-flowrunner[otel]" in shown.stdout


@pytest.fixture
def spans(make_site):
    """A site that is traced, and the spans that it made."""
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from flowrunner.engine.events import Observer
    from flowrunner.telemetry.tracing import TRACED_EVENTS, Tracing

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    site = make_site(plugins_dir=PLUGINS)
    tracing = Tracing(provider)
    site.runner.open()
    site.runner._observers.all.append(Observer(tracing.observe, TRACED_EVENTS))
    object.__setattr__(site.runner.services, "observed", None)
    site.add_user("ann")
    yield site, exporter, tracing
    provider.shutdown()


def test_a_run_is_a_span_with_its_components_in_it(spans):
    site, exporter, tracing = spans
    flow = site.flow("ann")
    site.say("ann", flow, "private words", "s")
    *components, run = exporter.get_finished_spans()
    assert run.name == "flowrunner.run" and run.parent is None
    assert run.attributes["flowrunner.flow.id"] == flow and run.attributes["flowrunner.session.source"] == "payload"
    assert [span.attributes["flowrunner.component.type"] for span in components] == ["ChatInput", "ChatOutput"]
    assert all(span.parent.span_id == run.context.span_id for span in components)
    assert all(span.end_time >= span.start_time for span in (*components, run))
    assert not tracing._open and "private words" not in "".join(span.to_json() for span in (*components, run))


def test_a_failure_is_on_the_spans(spans):
    site, exporter, tracing = spans
    flow = site.flow("ann", flow_through("Boom", {}))
    site.call("ann", "POST", f"/api/v1/run/{flow}", json={"input_value": "api_key=sk-abcdefghijklmnop1234"})
    failed = [span for span in exporter.get_finished_spans() if not span.status.is_ok]
    assert {span.name for span in failed} == {"flowrunner.run", "flowrunner.component"}
    assert all("boom" in span.status.description for span in failed)
    assert not tracing._open and "sk-abcdefghijklmnop1234" not in "".join(span.to_json() for span in failed)


@pytest.mark.parametrize("how", ["run", "run?stream=true", "run?stream=sse", "run?background=true", "webhook"])
def test_a_run_lies_below_the_span_of_its_request(spans, how):
    site, exporter, tracing = spans
    flow, (path, _, query) = site.flow("ann"), how.partition("?")
    with tracing._tracer.start_as_current_span("request") as request:
        answer = site.call("ann", "POST", f"/api/v1/{path}/{flow}?{query}", json={"input_value": "hi"})
        assert answer.status_code < 300 and answer.get_data()
    run = wait_until(lambda: [s for s in exporter.get_finished_spans() if s.name == "flowrunner.run"])[0]
    wanted = request.get_span_context()
    assert (run.parent.span_id, run.context.trace_id, run.links) == (wanted.span_id, wanted.trace_id, ())
    assert run.attributes["flowrunner.request.id"] == answer.headers["X-Request-Id"]
    assert wait_until(lambda: not tracing._open)


def test_a_run_that_begins_when_its_request_is_over_has_a_link_to_it(spans):
    site, exporter, tracing = spans
    flow, runs = site.flow("ann"), site.runner.runs
    # As a process that accepts a run and is gone before it begins.
    runs.pool.close()
    with tracing._tracer.start_as_current_span("request") as request:
        answer = site.call("ann", "POST", f"/api/v1/run/{flow}?background=true", json={"input_value": "hi"})
    runs.pool.start_in_child()
    assert runs.ledger.let_go(runs.registry.process_id) == 1
    run = wait_until(lambda: [s for s in exporter.get_finished_spans() if s.name == "flowrunner.run"], 30)[0]
    (link,) = run.links
    wanted = request.get_span_context()
    assert (run.parent, link.context.trace_id, link.context.span_id) == (None, wanted.trace_id, wanted.span_id)
    assert run.attributes["flowrunner.request.id"] == answer.headers["X-Request-Id"]


def test_tracing_is_a_setting(make_site):
    pytest.importorskip("opentelemetry")
    site = make_site(tracing=True)
    site.add_user("ann")
    site.say("ann", site.flow("ann"), "hello", "s")


def test_a_setting_that_needs_an_extra_is_refused_without_it(tmp_path, monkeypatch):
    from flowrunner.telemetry import metrics

    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(SettingsInvalid, match="metrics"):
        metrics.Metrics(None)
