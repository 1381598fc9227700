"""Batch Run: ask a model once for each row of a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Final

from flowrunner import Input, Output, RunContext, text_of

from .factory import ModelUser
from .fields import MODEL_INPUTS
from .protocol import ChatModel, Turn
from .usage import count

_MOST_AT_ONCE: Final = 8
_MOST_ROWS: Final = 1000


class BatchRun(ModelUser):
    """Send each row of a table to a model, several at a time."""

    type_name = "BatchRunComponent"
    display_name = "Batch Run"
    inputs = (
        Input("df", "Table", required=True, accepts=("Data", "Message"), aliases=("dataframe",), info="the rows"),
        Input("column_name", "str", info="the column to send; blank for the whole row"),
        Input("system_message", info="instructions for the model"),
        Input("output_column_name", "str", default="model_response"),
        Input("enable_metadata", "bool", default=False, info="add a column with metadata of each call"),
        *MODEL_INPUTS,
    )
    outputs = (Output("batch_results", "Table", aliases=("run_batch",)),)

    def run(self, context: RunContext, /, **values: Any) -> Mapping[str, Any]:
        """Return the rows, each with the model's answer.

        :raises ValueError: if a row lacks the column, or there are more than a thousand.
        :raises ModelFailed: if one answer did not come.
        """
        rows = [row if isinstance(row, Mapping) else {"text": text_of(row)} for row in _rows(values["df"])]
        if len(rows) > _MOST_ROWS:
            raise ValueError(f"the table has {len(rows)} rows; at most {_MOST_ROWS} are accepted")
        asked = [_question(row, values["column_name"]) for row in rows]
        model, system = self.model_of(context, values), text_of(values["system_message"])
        with ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="flowrunner-batch") as pool:
            futures = [pool.submit(copy_context().run, _ask, context, model, system, question) for question in asked]
            try:
                answers = [future.result() for future in futures]
            except BaseException:
                # Who has not been asked yet costs nothing any more.
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        found = []
        for row, question, answer in zip(rows, asked, answers, strict=True):
            made = {**row, values["output_column_name"] or "model_response": answer}
            if values["enable_metadata"]:
                made["metadata"] = {"input_length": len(question), "response_length": len(answer)}
            found.append(made)
        return {"batch_results": found}


def _ask(context: RunContext, model: ChatModel, system: str, question: str) -> str:
    turns = [Turn("system", system)] if system.strip() else []
    reply = model.ask([*turns, Turn("user", question)], cancelled=context.cancelled)
    count(context, model, reply)
    return reply.text


def _rows(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return list(value)
    return [] if value in (None, "") else [value]


def _question(row: Mapping[str, Any], column: str) -> str:
    if not column:
        return json.dumps(dict(row), ensure_ascii=False, default=text_of)
    if column not in row:
        raise ValueError(f"the table has no column {column}; it has {', '.join(map(str, row))[:500]}")
    return text_of(row[column])
