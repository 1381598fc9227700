"""Structured Output: extract JSON of a given shape from a text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from flowrunner import Input, Output, RunContext, text_of

from .coercion import find_fitting
from .factory import ModelUser
from .failures import ModelAnswerInvalid, ModelRefused
from .fields import CHOICE_INPUTS, OPTION_INPUTS
from .pictures import files_of, with_pictures
from .protocol import ChatModel, Turn
from .providers import find_provider
from .structure import schema_of, schema_of_many
from .usage import count

_PROMPT: Final = (
    "You extract structured data from text. Answer with one JSON document that fits the given schema and with"
    " nothing else. Use null for what the text does not say."
)


class StructuredOutput(ModelUser):
    """Extract JSON of a given shape from a text, with a model."""

    type_name = "StructuredOutput"
    aliases = ("StructuredOutputComponent",)
    display_name = "Structured Output"
    inputs = (
        Input("input_value", required=True, accepts=("Data", "Table"), tool=True, info="the text to extract from"),
        Input("system_prompt", default=_PROMPT, aliases=("system_message",)),
        Input("schema_name", "str"),
        Input("output_schema", "any", info="fields to extract: rows of name, type, description and multiple"),
        Input("multiple", "bool", default=False, info="in older flows: extract a list of objects"),
        *CHOICE_INPUTS,
        *OPTION_INPUTS,
    )
    outputs = (
        Output("structured_output", "Data", aliases=("build_structured_output",)),
        Output("dataframe_output", "Table", aliases=("structured_output_dataframe", "build_structured_dataframe")),
    )

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return the object, or several under ``results``; and the same as rows.

        :raises ValueError: if the schema has no field.
        :raises ModelFailed: if the model gives nothing that fits.
        """
        item = schema_of(values["output_schema"])
        if item is None:
            raise ValueError("output_schema has no field")
        model = self.model_of(context, values)
        found = ask_for_json(
            context,
            model,
            system=text_of(values["system_prompt"]),
            text=text_of(values["input_value"]),
            files=files_of(values["input_value"]),
            schema=schema_of_many(item),
            item=item,
        )
        rows = [row if isinstance(row, dict) else {"text": row} for row in found]
        data = rows[0] if len(rows) == 1 and not values["multiple"] else {"results": rows}
        return {"structured_output": data, "dataframe_output": rows}


def ask_for_json(
    context: RunContext,
    model: ChatModel,
    *,
    system: str,
    text: str,
    schema: Mapping[str, Any],
    files: tuple[str, ...] = (),
    item: Mapping[str, Any] | None = None,
) -> Any:
    """Ask a model for JSON that fits a schema; one that does not fit is handed back once.

    :param files: names of uploads; the pictures among them go along.
    :param item: schema of one of ``objects``; then a list of them is returned.
    :raises ModelAnswerInvalid: if what came does not fit.
    """
    provider = find_provider(model.provider)
    by_schema = provider is None or provider.schemas
    described = f"{system}\n\nThe JSON schema:\n{json.dumps(schema, ensure_ascii=False)}"
    turns = with_pictures(context, [Turn("system", described), Turn("user", text, files=files)])
    wrong = ""
    for _ in range(2):
        reply = None
        if by_schema:
            try:
                reply = model.ask(turns, schema=schema, cancelled=context.cancelled)
            except ModelRefused:
                # Not every server takes a schema; the prompt says the same.
                by_schema = False
        if reply is None:
            reply = model.ask(turns, cancelled=context.cancelled)
        count(context, model, reply)
        if reply.refused:
            raise ModelRefused(f"the model refused: {reply.text}")
        found, wrong = find_fitting(
            reply.text, schema if item is None else item, many=item is not None, look=context.cancelled.raise_if_set
        )
        if not wrong:
            return found
        turns += [
            Turn("assistant", reply.text, extra=reply.extra),
            Turn("user", f"That does not fit: {wrong}. Answer again, JSON only."),
        ]
    raise ModelAnswerInvalid(f"the model gave no JSON that fits the schema: {wrong}")
