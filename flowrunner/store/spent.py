"""What the models of a run took in tokens, read from its steps."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from flowrunner.store.steps import Step

#: Stands in the record of each step whose message says what it took; most steps need no reading then.
USAGE: Final = '"usage"'


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens that a component took, and the model that took them."""

    model: str | None
    input_tokens: int
    output_tokens: int
    total_tokens: int


def spent_in(step: Step) -> Spent | None:
    """Return what a step took; None where it asked no model, or only passes on what another one said.

    A message names the component that made it: behind it the same message may come out of several.
    """
    if USAGE not in step.record:
        return None
    for output in json.loads(step.record).get("outputs", {}).values():
        properties = output["message"][1] if isinstance(output, dict) and "message" in output else {}
        usage, source = (properties.get(name) or {} for name in ("usage", "source"))
        if isinstance(usage, dict) and isinstance(source, dict) and usage and source.get("id") == step.vertex_id:
            prompt, completion = (_count(usage.get(name)) for name in ("input_tokens", "output_tokens"))
            model = source.get("source")
            return Spent(
                model if isinstance(model, str) else None,
                prompt,
                completion,
                _count(usage.get("total_tokens")) or prompt + completion,
            )
    return None


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
