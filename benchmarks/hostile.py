"""Time and memory against size for hostile input: each row at three sizes, four times as large each.

    python benchmarks/hostile.py

A row is proportional if the largest size takes at most twice what its growth over the one before allows, in CPU time;
what is refused costs no memory at any size.
"""

from __future__ import annotations

import itertools
import sys
import time
import tracemalloc
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import isqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flowrunner_components.regular_expressions import matches_start  # noqa: E402
from flowrunner_models.json_search import documents, find_json  # noqa: E402
from flowrunner_models.pages import Page  # noqa: E402
from flowrunner_retrieval.documents.readers import read_rows  # noqa: E402

from flowrunner import Component, Output, RunContext  # noqa: E402
from flowrunner.engine.tweaks import apply_tweaks  # noqa: E402
from flowrunner.errors import FlowRunnerError  # noqa: E402
from flowrunner.store.masking import mask  # noqa: E402
from tests.components.context import make_context  # noqa: E402
from tests.components.context import run as run_component  # noqa: E402
from tests.engine.rig import Rig, open_rig  # noqa: E402
from tests.web.site import Site, echo_flow, edge, open_site  # noqa: E402

GROWTH = 4
SIZES = (1, GROWTH, GROWTH**2)
#: Below this a time says more about the machine than about the work.
_LEAST = 0.002

Row = tuple[str, Callable[[int], Callable[[], object]]]


@contextmanager
def rows() -> Iterator[list[Row]]:
    """Give the rows; each makes its input for a size and returns what is measured."""
    with (
        TemporaryDirectory() as folder,
        TemporaryDirectory() as places,
        open_rig(Path(folder)) as rig,
        open_rig(Path(folder), run_timeout=0.2, components=(Endless,)) as late,
        open_site(Path(places), memory="sqlite", metrics=True) as site,
    ):
        site.add_user("ann")
        prompt = rig.plan(
            [("ask", "ChatInput"), ("p", "Prompt", {"template": "{x}"}), ("answer", "ChatOutput")],
            ["ask.message -> p.x", "p.prompt -> answer.input_value"],
        )

        def template(size: int) -> Callable[[], object]:
            tweaks = {"p": {"template": "{x}" * (1_900 * size)}}
            return lambda: rig.run_plan(prompt, tweaks=tweaks, input_value="y" * 3_000)

        def tweaks(size: int) -> Callable[[], object]:
            plan = rig.plan([(f"v{n}", "TextInput") for n in range(60 * size)])
            given = {f"k{n}": n for n in range(600 * size)}
            return lambda: apply_tweaks(plan, given, most=10_000)

        letters = "abcdefghijklmnopqrstuvwxyz" * 37
        yield [
            ("template {x} x 30,000, input of 3,000", template),
            ("tweaks: 10,000 keys, 1,000 vertices", tweaks),
            ("regex [960 letters]*x, text", lambda n: lambda: matches_start(f"[{letters}]*x", "a" * 500_000 * n)),
            ("regex that blows up, text", lambda n: lambda: matches_start(".*a(a|b){100}c", "ab" * 4_000 * n)),
            ("JSON: a fence and blanks", lambda n: lambda: find_json("```" + " " * 16_000 * n)),
            ("JSON: [ x 100,000", lambda n: lambda: list(documents("[" * 6_000 * n))),
            ("JSON: [1,1,1, repeated", lambda n: lambda: list(documents(("[" + "1," * 2_000) * n))),
            ("page: <a x 6,000", lambda n: lambda: Page("<a " * 400 * n).text()),
            ("page: <![ x 5,000", lambda n: lambda: Page("<![" * 300 * n).text()),
            ("masking of rows with tokens", lambda n: lambda: mask(_rows(600 * n))),
            ("objects combined into lists", lambda n: _given(rig, "DataOperations", n, data=_items,
                                                             operations="Combine")),
            ("texts concatenated", lambda n: _given(rig, "MergeDataComponent", n, data_inputs=_items,
                                                    operation="Concatenate")),
            ("table joined with itself, all with all", lambda n: _join(rig, 150 * isqrt(n))),
            ("columns chosen of rows that have none", lambda n: _select(rig, 200 * isqrt(n))),
            ("chunks that share all but one character", lambda n: _split(rig, 600 * n)),
            ("chunks out of single characters", lambda n: _given(rig, "SplitText", n, data_inputs=_text, separator="",
                                                                 chunk_size=1000, chunk_overlap=0)),
            ("cells of a CSV file with a wide head", lambda n: lambda: _read_csv(isqrt(n))),
            ("page=, integers of many digits", lambda n: lambda: _asked(site, f"page={'9' * 3_000 * n}")),
            ("methods that clients make up", lambda n: lambda: _methods(site, 100 * n)),
            ("wrong keys of one address", lambda n: lambda: _keys(site, 100 * n)),
            ("ids of messages to delete", lambda n: _delete(site, 2_000 * n)),
            ("edges of a flow", lambda n: _edges(site, 1_000 * n)),
            ("deep JSON in a body", lambda n: lambda: _body(site, '{"tweaks": ' + "[" * 60_000 * n)),
            ("a component that computes, 0.2 s allowed", lambda n: lambda: _endless(late)),
        ]  # fmt: skip


class Endless(Component):
    """Compute for ever."""

    type_name = "Endless"
    outputs = (Output("text"),)

    def run(self, context: RunContext, /) -> Mapping[str, Any]:
        """Return nothing: only the limit of time ends it."""
        for _ in context.watched(itertools.count()):
            pass
        return {}


def _endless(rig: Rig) -> None:
    rig.run([("e", "Endless")], input_value=None)


def _items(size: int) -> list[dict[str, str]]:
    return [{"t": "x" * 20} for _ in range(1_000 * size)]


def _text(size: int) -> list[str]:
    return ["ab " * 10_000 * size]


def _given(rig: Rig, kind: str, size: int, **values: Any) -> Callable[[], object]:
    """Return what runs one component; a value that is a function makes it for the size."""
    component = rig.registry.component(kind)
    made = {name: value(size) if callable(value) else value for name, value in values.items()}
    return lambda: run_component(component, make_context(settings=rig.settings), **made)


def _join(rig: Rig, count: int) -> Callable[[], object]:
    table = [{"k": "x", **{f"c{n}": n for n in range(20)}} for _ in range(count)]
    joined = {"operation": "Merge", "merge_on_column": "k", "left_dataframe": table, "right_dataframe": table}
    return _given(rig, "DataFrameOperations", 1, **joined)


def _select(rig: Rig, count: int) -> Callable[[], object]:
    names = [f"c{n}" for n in range(count)]
    chosen = {"df": [{name: 1} for name in names], "operation": "Select Columns", "columns_to_select": names}
    return _given(rig, "DataFrameOperations", 1, **chosen)


def _split(rig: Rig, size: int) -> Callable[[], object]:
    shared = {"separator": "", "chunk_size": size, "chunk_overlap": size - 1}
    return _given(rig, "SplitText", 1, data_inputs=["ab" * 10 * size], **shared)


def _read_csv(size: int) -> None:
    head = ",".join(f"c{n}" for n in range(1_000 * size))
    read_rows(SimpleNamespace(suffix="csv", short_name="a.csv"), f"{head}\n" + "x\n" * 100 * size)  # type: ignore[arg-type]


def _asked(site: Site, query: str) -> None:
    assert site.call("ann", "GET", f"/api/v1/flows/?get_all=false&{query}").status_code == 422


def _methods(site: Site, count: int) -> None:
    for number in range(count):
        site.call(None, f"MADE{number}", "/api/v1/runs")


def _keys(site: Site, count: int) -> None:
    client = site.app.test_client()
    for number in range(count):
        client.get(
            "/api/v1/runs", headers={"x-api-key": f"fr-{number}"}, environ_overrides={"REMOTE_ADDR": "192.0.2.1"}
        )


def _delete(site: Site, count: int) -> Callable[[], object]:
    ids = [str(uuid.UUID(int=n)) for n in range(count)]
    return lambda: site.call("ann", "DELETE", "/api/v1/monitor/messages", json=ids)


def _edges(site: Site, count: int) -> Callable[[], object]:
    flow = echo_flow("edges")
    flow["data"]["edges"] = [edge("ChatInput-a", "message", "ChatOutput-b", "input_value")] * count
    return lambda: site.call("ann", "POST", "/api/v1/flows/", json=flow)


def _body(site: Site, text: str) -> None:
    site.call("ann", "POST", "/api/v1/run/x", data=text, content_type="application/json")


def _rows(count: int) -> list[dict[str, str]]:
    return [{"token": f"abcdefgh{n:08}", "t": f"said abcdefgh{n:08}" * 3} for n in range(count)]


def measure(row: Row) -> None:
    """Print one row: time and memory for each size, and whether they are proportional."""
    name, make = row
    seconds, peaks, refused = [], [], ""
    for size in SIZES:
        act = make(size)
        seconds.append(min(_timed(act)[0] for _ in range(2)))
        tracemalloc.start()
        _, refused = _timed(act)
        peaks.append(tracemalloc.get_traced_memory()[1] / 2**20)
        tracemalloc.stop()
    bound = max(seconds[1], _LEAST) * GROWTH * 2
    verdict = "proportional" if seconds[-1] <= bound else "NOT PROPORTIONAL"
    times = " ".join(f"{second * 1000:9.1f}" for second in seconds)
    memory = " ".join(f"{peak:7.1f}" for peak in peaks)
    print(f"{name:40} {times} ms {memory} MB  {verdict}{'; the largest is refused' if refused else ''}")


def _timed(act: Callable[[], object]) -> tuple[float, str]:
    begun, refused = time.process_time(), ""
    try:
        act()
    except (ValueError, AssertionError, FlowRunnerError) as error:
        refused = str(error)
    return time.process_time() - begun, refused


def main() -> None:
    """Measure all rows."""
    print(f"{'':40} {'sizes 1, 4 and 16':>32} {'peak of memory':>26}")
    with rows() as found:
        for row in found:
            measure(row)


if __name__ == "__main__":
    main()
