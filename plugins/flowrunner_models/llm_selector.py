"""LLM Selector: a model chooses which of several models answers."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final

from flowrunner import Input, Output, RunContext, text_of

from .factory import ModelUser
from .failures import ModelFailed
from .language_model import message_of, speak
from .pictures import files_of
from .protocol import ChatModel, Turn
from .reasoning import set_apart, without_thoughts
from .usage import count

#: What the judge is told to look for.
_AIMS: Final = {
    "quality": "the one that will answer best",
    "speed": "the one that will answer the fastest and still well enough",
    "cost": "the cheapest one that will answer well enough",
    "balanced": "the one with the best balance of quality, speed and cost",
}


class LlmSelector(ModelUser):
    """Let one model select which of several models answers a text, and return the answer."""

    type_name = "LLMSelectorComponent"
    aliases = ("LLMRouterComponent",)
    display_name = "LLM Selector"
    inputs = (
        Input("models", "LanguageModel", many=True, info="the models to choose among"),
        Input("input_value", accepts=("Data",), tool=True, info="the input that the selected model answers"),
        Input("judge_llm", "any", accepts=("LanguageModel",), info="the model that chooses"),
        Input("optimization", "str", default="balanced", options=tuple(_AIMS), info="the goal of the choice"),
        Input(
            "fallback_to_first",
            "bool",
            default=True,
            aliases=("fallback_to_first_model",),
            info="use the first model if the judge names none",
        ),
        Input("use_openrouter_specs", "bool", default=True, info="ignored: no information about models is fetched"),
        Input("timeout", "int", default=10, info="ignored: no information about models is fetched"),
    )
    outputs = (
        Output("output"),
        Output("selected_model_info", "Data"),
        Output("routing_decision"),
    )

    def run(self, context: RunContext, /, **values: Any) -> Generator[Any, None, Mapping[str, Any]]:
        """Return the answer of the chosen model, which that is, and why.

        :raises ValueError: if there is no model or no text, or the judge names none and there is no other way.
        :raises ModelFailed: if the chosen model does not answer.
        """
        models = [model for model in values["models"] or () if isinstance(model, ChatModel)]
        text, files = text_of(values["input_value"]), files_of(values["input_value"])
        if not models:
            raise ValueError("no models are connected")
        if not text.strip() and not files:
            raise ValueError("the message to the models is empty")
        place, decision = _judge(context, values, models, text)
        chosen = models[place]
        reply = yield from speak(context, chosen, [Turn("user", text, files=files)])
        return {
            "output": message_of(context, chosen, reply),
            "selected_model_info": {"index": place, "model": chosen.name, "provider": chosen.provider},
            "routing_decision": decision,
        }


def _judge(context: RunContext, values: Mapping[str, Any], models: Sequence[ChatModel], text: str) -> tuple[int, str]:
    """Return the place of the chosen model, and a sentence about the choice."""
    if len(models) == 1:
        return 0, f"{models[0].name} is the only model."
    judge, fallback = values["judge_llm"], values["fallback_to_first"]
    if not isinstance(judge, ChatModel):
        raise ValueError("no model is connected as the judge")
    try:
        reply = judge.ask(_turns(models, text, values["optimization"]), cancelled=context.cancelled)
        count(context, judge, reply)
        said = reply.text
        place = _place(set_apart(said)[0] or without_thoughts(said), models)
        why = f"{judge.name} named none of the models: {said.strip()[:200]}"
    except ModelFailed as error:
        if not fallback:
            raise
        place, why = None, f"{judge.name} did not answer: {error}"
    if place is not None:
        return place, f"{judge.name} chose {models[place].name} (model {place + 1} of {len(models)})."
    if not fallback:
        raise ValueError(why)
    return 0, f"{why}. The first model answered, {models[0].name}."


def _turns(models: Sequence[ChatModel], text: str, optimization: str) -> list[Turn]:
    listed = "\n".join(f"{number}. {model.name} ({model.provider})" for number, model in enumerate(models, 1))
    aim = _AIMS.get(optimization, _AIMS["balanced"])
    system = (
        f"Choose which model is to answer the user's text: {aim}.\n{listed}\nAnswer with its number and nothing else."
    )
    return [Turn("system", system), Turn("user", text)]


def _place(said: str, models: Sequence[ChatModel]) -> int | None:
    """Return the place that a judge named, by number or else by name."""
    numbers = {int(found) for found in re.findall(r"(?<![\w.-])\d{1,4}(?![\w-]|\.\d)", said)}
    fitting = [number for number in numbers if 1 <= number <= len(models)]
    if len(fitting) == 1:
        return fitting[0] - 1
    names = [place for place, model in enumerate(models) if model.name and model.name.casefold() in said.casefold()]
    return names[0] if len(names) == 1 else None
