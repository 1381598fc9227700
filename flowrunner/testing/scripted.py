"""A scripted model that replaces every model of a flow in tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

from flowrunner.testing.model_script import Call, Fail, Say, Step

USUAL_ANSWER = "This is what the scripted model says."


class ScriptedModel:
    """Answers in place of models, in order; the last answer is repeated.

    ``asked`` collects the turns of each call, as ``(role, text)`` pairs.
    """

    def __init__(self) -> None:
        self.asked: list[list[tuple[str, str]]] = []
        self._steps: list[Step] = []
        self._last: Step = Say((USUAL_ANSWER,))
        self._lock = threading.Lock()

    def answers(self, *texts: str | Sequence[str] | Step) -> ScriptedModel:
        """Add answers, one per call.

        Each is a text, a list of streamed parts, or a step of :mod:`flowrunner.testing.model_script`, such as
        ``call(("tool", {}))``.
        """
        with self._lock:
            self._steps += [_step(text) for text in texts]
        return self

    def model(self) -> Any:
        """Return a model for components."""
        return _make_model(self)

    def next_step(self, turns: Sequence[Any]) -> Step:
        """Record a call and return the next step."""
        with self._lock:
            self.asked.append([(turn.role, turn.text) for turn in turns])
            if self._steps:
                self._last = self._steps.pop(0)
            return self._last


def replace_models(scripted: ScriptedModel, patch: Any) -> None:
    """Make all components use the scripted model instead of others.

    :param patch: ``setattr(target, name, value)`` of pytest's ``monkeypatch``, which restores everything.
    """
    from flowrunner_models.factory import ModelUser

    patch.setattr(ModelUser, "model_of", lambda self, context, values: scripted.model())


def _step(given: str | Sequence[str] | Step) -> Step:
    if isinstance(given, str):
        return Say((given,))
    return Say(tuple(given)) if isinstance(given, (list, tuple)) else given  # type: ignore[return-value]


def _make_model(scripted: ScriptedModel) -> Any:
    from flowrunner_models.failures import ModelFailed
    from flowrunner_models.protocol import ChatModel, Options, Reply, ToolCall

    class Model(ChatModel):
        name, provider, options = "scripted", "scripted", Options()

        def stream(self, turns: Sequence[Any], **more: Any) -> Iterator[Any]:
            step = scripted.next_step(turns)
            if isinstance(step, Say):
                yield from (part for part in step.parts if part)
                yield Reply("".join(step.parts))
            elif isinstance(step, Call):
                calls = tuple(
                    ToolCall(f"call_{number}", name, arguments if isinstance(arguments, str) else _json(arguments))
                    for number, (name, arguments) in enumerate(step.calls)
                )
                yield Reply(step.text, calls, reason="tool_calls")
            else:
                raise ModelFailed(step.message if isinstance(step, Fail) else f"the scripted model fails: {step}")

    return Model()


def _json(value: Any) -> str:
    import json

    return json.dumps(value)
