"""The results of background runs, kept for a limited time."""

from __future__ import annotations

import json
import logging

from sqlalchemy.exc import SQLAlchemyError

from flowrunner.engine.result import RunResult
from flowrunner.store.answers import AnswerStore
from flowrunner.store.shared_commits import Statement
from flowrunner.text.json_text import json_text

logger = logging.getLogger("flowrunner")


class KeptResult:
    """The result of one run, committed together with the run's last messages if they are in the same database.

    :param term: its lifetime in seconds.
    :param outputs_only: it shows only the outputs of the flow, so everybody who may run the flow may see it.
    """

    def __init__(self, store: AnswerStore, run_id: str, owner: str, term: float, *, outputs_only: bool) -> None:
        self._store = store
        self._run_id = run_id
        self._owner = owner
        self._term = term
        self._outputs_only = outputs_only
        self.delivered = False

    def statements(self, result: RunResult) -> list[Statement]:
        """Return the statements that store it."""
        shown = {"outputs_only": self._outputs_only, "result": result.to_json()}
        try:
            text = json_text(shown)
        except TypeError:
            text = json.dumps(shown, default=str)
        row = self._store.row(id=self._run_id, owner=self._owner, run_id=self._run_id, answer=text, term=self._term)
        return [self._store.adding(row)]

    def keep(self, result: RunResult) -> None:
        """Store it, unless it is stored already."""
        if self.delivered:
            return
        try:
            for statement in self.statements(result):
                self._store.write(statement)
        except SQLAlchemyError as error:
            logger.warning("The result of the run %s could not be stored: %s", self._run_id, type(error).__name__)
