"""Prompt: a template whose variables are inputs of the vertex."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flowrunner import Component, Input, Message, Output, RunContext, text_of

from .templates import fields_of, fill, is_name
from .values import as_text


class Prompt(Component):
    """Fill in a template: each ``{variable}`` is an input, set as a field or connected to an edge."""

    type_name = "Prompt Template"
    aliases = ("Prompt", "PromptTemplate", "PromptComponent")
    display_name = "Prompt Template"
    pure = True
    inputs = (
        Input("template", "str", info="text with {variables}; {{ and }} are braces"),
        Input("use_double_brackets", "bool", default=False, info="variables are {{variable}}, single braces are text"),
    )
    outputs = (Output("prompt", aliases=("build_prompt",)),)

    def run(
        self, context: RunContext, /, *, template: str, use_double_brackets: bool, **variables: Any
    ) -> Mapping[str, Any]:
        """Return the filled template.

        :raises ValueError: naming a variable that nothing set.
        """
        values = {"template": template, **variables}

        def lookup(name: str) -> str | None:
            value = values.get(name)
            if value is not None:
                return as_text(value)
            if name in variables or is_name(name):
                raise ValueError(f"the variable {name} has no value: it is neither connected nor set")
            return None

        text = fill(template, lookup, context.text_budget(), double=use_double_brackets)
        return {"prompt": Message(text=text, files=_files_of(variables.values()), flow_id=context.flow_id)}

    def inputs_for(self, settings: Mapping[str, Any]) -> Sequence[Input]:
        """Return the template's own inputs and one for each of its variables.

        A variable that the vertex has as a field is text, empty if nobody fills it. One that it has
        not takes what an edge brings, and has no value without one.
        """
        template = text_of(settings.get("template"))
        double = str(settings.get("use_double_brackets")).lower() == "true"
        taken = {declared.name for declared in self.inputs}
        found = [name for name in fields_of(template, double=double, also=settings) if name not in taken]
        return (
            *self.inputs,
            *(Input(n, accepts=("Data", "Table"), tool=True) if n in settings else Input(n, "any") for n in found),
        )

    def streams_through_with(self, settings: Mapping[str, Any]) -> Sequence[str]:
        """Text for any of its variables passes through it."""
        own = {declared.name for declared in self.inputs}
        return [declared.name for declared in self.inputs_for(settings) if declared.name not in own]


def _files_of(values: Iterable[Any]) -> tuple[str, ...]:
    """Return the files of all messages that fill the template in: what comes with a question goes with the prompt."""
    return tuple(dict.fromkeys(name for value in values if isinstance(value, Message) for name in value.files))
