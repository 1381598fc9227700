"""Time and memory against size for hostile input: each row at three sizes, four times as large each.

    python benchmarks/hostile.py

A row is proportional if the largest size takes at most twice what its growth over the one before allows, in CPU time;
what is refused costs no memory at any size.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flowrunner_components.regular_expressions import matches_start  # noqa: E402
from flowrunner_models.json_search import documents, find_json  # noqa: E402
from flowrunner_models.pages import Page  # noqa: E402

from flowrunner.engine.tweaks import apply_tweaks  # noqa: E402
from flowrunner.errors import FlowRunnerError  # noqa: E402
from flowrunner.store.masking import mask  # noqa: E402
from tests.engine.rig import open_rig  # noqa: E402

GROWTH = 4
SIZES = (1, GROWTH, GROWTH**2)
#: Below this a time says more about the machine than about the work.
_LEAST = 0.002

Row = tuple[str, Callable[[int], Callable[[], object]]]


@contextmanager
def rows() -> Iterator[list[Row]]:
    """Give the rows; each makes its input for a size and returns what is measured."""
    with TemporaryDirectory() as folder, open_rig(Path(folder)) as rig:
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
        ]


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
