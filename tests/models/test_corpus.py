"""Real flows that people made: how many come to an answer when a stand-in is their model."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from flowrunner import FlowRunnerError
from flowrunner.engine.plan import make_plan
from flowrunner.flows.reading import read_flows

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "corpus"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the corpus is not here")
def test_a_third_of_what_people_made_comes_to_an_answer(open_house):
    house = open_house(run_timeout=20)
    index = [json.loads(line) for line in (SHARED / "index.jsonl").read_text("utf-8").splitlines()]
    wanted = {e["file"] for e in index if (e["category"], e["kind"], e["era"]) == ("user", "flow", "1.x")}
    answered = 0
    with tarfile.open(SHARED / "open.tar.xz") as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            if name in wanted:
                data = archive.extractfile(member).read()
                answered += _answers(house, name, data)
    print(f"{answered} of {len(wanted)} user-made flows come to an answer")
    assert answered >= 0.4 * len(wanted)


def _answers(house, name, data):
    try:
        plan = make_plan(read_flows(data, name_hint=name)[0], house.registry)
        return bool(house.run_plan(plan, input_value="Hello, what can you do?", session_id=name).text.strip())
    except FlowRunnerError:
        return False
