"""Token usage and cost of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from flowrunner import RunContext

from .protocol import ChatModel, Reply, Usage

_IN: Final = ("prompt_tokens", "input_tokens")
_OUT: Final = ("completion_tokens", "output_tokens")
_DETAILS_IN: Final = ("prompt_tokens_details", "input_tokens_details")
_DETAILS_OUT: Final = ("completion_tokens_details", "output_tokens_details")
_CACHED: Final = ("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens; ``cached`` of those that come from the provider's cache."""

    input: float
    output: float
    cached: float


def read_usage(given: Any) -> Usage | None:
    """Return the token counts of an answer; None where it gives none."""
    if not isinstance(given, Mapping) or not given:
        return None
    inner, outer = _object(given, _DETAILS_IN), _object(given, _DETAILS_OUT)
    return Usage(
        _first(given, _IN),
        _first(given, _OUT),
        _first(inner, _CACHED) or _first(given, _CACHED),
        _first(outer, ("reasoning_tokens",)) or _first(given, ("reasoning_tokens",)),
        _cost(given),
    )


def read_prices(text: Any) -> dict[str, Price]:
    """Return the operator's prices by model: ``gpt-4o-mini=0.15/0.60/0.075``, commas between them.

    :raises ValueError: for an entry of another shape.
    """
    parts = text.split(",") if isinstance(text, str) else list(text)
    found = {}
    for part in filter(None, (str(p).strip() for p in parts)):
        model, _, prices = part.rpartition("=")
        try:
            numbers = [float(number) for number in prices.split("/")]
        except ValueError:
            numbers = []
        if not model.strip() or len(numbers) not in (2, 3) or not all(0 <= n < 1e6 for n in numbers):
            raise ValueError("must be model=input/output or model=input/output/cached, in dollars per million tokens")
        found[model.strip()] = Price(numbers[0], numbers[1], numbers[-1] if len(numbers) == 3 else numbers[0])
    return found


def with_cost(usage: Usage | None, prices: Mapping[str, Price], model: str) -> Usage | None:
    """Return a usage with its cost: the provider's own word, else by the operator's price of the model."""
    price = prices.get(model)
    if usage is None or usage.cost is not None or price is None:
        return usage
    cached = min(usage.cached_tokens, usage.input_tokens)
    dollars = (usage.input_tokens - cached) * price.input + cached * price.cached + usage.output_tokens * price.output
    return replace(usage, cost=dollars / 1_000_000)


def _object(given: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    return next((given[name] for name in names if isinstance(given.get(name), Mapping)), {})


def _first(given: Mapping[str, Any], names: tuple[str, ...]) -> int:
    return next((count for name in names if (count := _count(given.get(name)))), 0)


def _count(value: Any) -> int:
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value and 0 < value < 1e15
    return int(value) if fits else 0


def _cost(given: Mapping[str, Any]) -> float | None:
    """Return the cost that some brokers tell, in dollars."""
    cost = given.get("cost", given.get("total_cost"))
    if isinstance(cost, Mapping):
        cost = cost.get("total_cost", cost.get("total"))
    fits = isinstance(cost, (int, float)) and not isinstance(cost, bool) and 0 <= cost < 1e9
    return float(cost) if fits else None


def count(context: RunContext, model: ChatModel, reply: Reply) -> None:
    """Count a reply that no message carries, in the tokens of the run."""
    usage = with_cost(reply.usage, getattr(context.settings, "model_prices", None) or {}, model.name)
    if usage is not None:
        context.count_tokens(model.name, usage.to_json())
