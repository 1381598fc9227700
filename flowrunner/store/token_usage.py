"""The tokens used by the models of a run, read from its steps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from flowrunner.store.steps import Step

#: The text in the record of each step whose message has token counts; other steps need not be parsed.
USAGE: Final = '"usage"'


@dataclass(frozen=True, slots=True)
class Spent:
    """The tokens used by a component, and the model."""

    model: str | None
    input_tokens: int
    output_tokens: int
    total_tokens: int


def spent_in(step: Step) -> Spent | None:
    """Return the tokens used by a step; None if it used no model, or only passes on a message of another one.

    A message names the component that created it, since later components may output the same message. What the
    component counted besides is added.
    """
    if USAGE not in step.record:
        return None
    record = json.loads(step.record)
    # Of a large record parts may have been cut.
    outputs, counted = record.get("outputs"), record.get("usage")
    shown = outputs.values() if isinstance(outputs, dict) else ()
    found = [each for each in (_in_output(step, output) for output in shown) if each][:1]
    found += [_spent(each, each.get("model")) for each in counted or () if isinstance(each, dict)]
    return _sum(found) if found else None


def by_model(calls: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the tokens of calls as the record of a step has them: one entry per model, so that none is cut."""
    found: dict[str | None, Spent] = {}
    for each in calls:
        one = _spent(each, each.get("model"))
        found[one.model] = one if one.model not in found else _sum((found[one.model], one))
    return [asdict(each) for each in found.values()]


def _sum(several: Sequence[Spent]) -> Spent:
    return Spent(
        several[0].model,
        sum(each.input_tokens for each in several),
        sum(each.output_tokens for each in several),
        sum(each.total_tokens for each in several),
    )


def _in_output(step: Step, output: Any) -> Spent | None:
    message = output.get("message") if isinstance(output, dict) else None
    properties = message[1] if isinstance(message, list) and len(message) > 1 else None
    if not isinstance(properties, dict):
        return None
    usage, source = (properties.get(name) or {} for name in ("usage", "source"))
    if isinstance(usage, dict) and isinstance(source, dict) and usage and source.get("id") == step.vertex_id:
        return _spent(usage, source.get("source"))
    return None


def _spent(usage: Mapping[str, Any], model: Any) -> Spent:
    prompt, completion = (_count(usage.get(name)) for name in ("input_tokens", "output_tokens"))
    total = _count(usage.get("total_tokens")) or prompt + completion
    return Spent(model if isinstance(model, str) else None, prompt, completion, total)


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
