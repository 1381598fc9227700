"""The engine alone: cost per vertex in chains, two branches that wait, against a bare pluggy hook call.

    python benchmarks/engine.py

Budgets: linear within 10 % from 10 to 1,000 vertices; at most 10 bare pluggy hook calls a vertex; two branches that
wait 200 ms each end within 220 ms.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import pluggy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flowrunner import Component, Input, Output  # noqa: E402
from tests.engine.rig import open_rig  # noqa: E402

ROUNDS = 15


class Relay(Component):
    """Pass a value on: the least that a component can do."""

    type_name = "Relay"
    inputs = (Input("value"),)
    outputs = (Output("value"),)

    def run(self, context, value):
        return {"value": value}


class Waits(Component):
    """Wait 200 ms."""

    type_name = "Waits200"
    inputs = (Input("value"),)
    outputs = (Output("value"),)
    blocking = True

    def run(self, context, value):
        time.sleep(0.2)
        return {"value": value}


def hook_seconds() -> float:
    """Return the CPU time of one bare pluggy call with one implementation and one argument."""
    spec, impl = pluggy.HookspecMarker("bench"), pluggy.HookimplMarker("bench")

    class Spec:
        @spec(firstresult=True)
        def relay(self, value):
            """Relay."""

    class Plugin:
        @impl
        def relay(self, value):
            return {"value": value}

    manager = pluggy.PluginManager("bench")
    manager.add_hookspecs(Spec)
    manager.register(Plugin())
    relay, times = manager.hook.relay, 20_000
    started = time.thread_time()
    for _ in range(times):
        relay(value="x")
    return (time.thread_time() - started) / times


def chain_seconds(rig, plan, times: int) -> float:
    """Return the CPU time of one run of a plan."""
    started = time.thread_time()
    for _ in range(times):
        rig.run_plan(plan)
    return (time.thread_time() - started) / times


def chain(rig, length: int):
    """Return the plan of a chain of relays."""
    vertices = [(f"v{i}", "Relay", {"value": "x"}) for i in range(length)]
    return rig.plan(vertices, [f"v{i}.value -> v{i + 1}.value" for i in range(length - 1)])


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, open_rig(Path(folder), components=(Relay, Waits)) as rig:
        one = chain(rig, 1)
        plans = {length: chain(rig, length) for length in (10, 100, 1000)}
        costs: dict[int, list[float]] = {length: [] for length in plans}
        hooks = []
        for _ in range(ROUNDS):
            base = chain_seconds(rig, one, 200)
            hooks.append(hook_seconds())
            for length, plan in plans.items():
                total = chain_seconds(rig, plan, 2000 // length)
                costs[length].append((total - base) / (length - 1))
        hook = statistics.median(hooks)
        print(f"bare pluggy hook call            {hook * 1e6:7.2f} µs")
        for length, values in costs.items():
            cost = statistics.median(values)
            print(
                f"a vertex in a chain of {length:5}    {cost * 1e6:7.2f} µs = {cost / hook:.1f} hook calls (budget 10)"
            )
        medians = [statistics.median(values) for values in costs.values()]
        print(f"1,000 against 10                 {medians[-1] / medians[0]:7.2f} (budget 0.90 to 1.10)")
        vertices = [("a", "TextInput"), ("one", "Waits200"), ("two", "Waits200"), ("o", "TextOutput")]
        edges = ["a.text -> one.value", "a.text -> two.value", "one.value -> o.input_value"]
        plan, walls = rig.plan(vertices, edges), []
        for _ in range(7):
            started = time.perf_counter()
            rig.run_plan(plan)
            walls.append(time.perf_counter() - started)
        print(f"two branches of 200 ms           {statistics.median(walls) * 1e3:7.1f} ms (budget 220)")


if __name__ == "__main__":
    main()
