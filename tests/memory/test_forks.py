"""What begins afresh in a forked child."""

from __future__ import annotations

import gc
import os

from flowrunner import after_fork


class Beginner:
    def __init__(self, begun: list[str]) -> None:
        self._begun = begun

    def begin(self) -> None:
        self._begun.append("begun")


def test_a_method_is_called_in_a_child_as_long_as_its_object_is_in_use(monkeypatch):
    registered = []
    monkeypatch.setattr(os, "register_at_fork", lambda *, after_in_child: registered.append(after_in_child))
    begun: list[str] = []
    kept = Beginner(begun)
    after_fork(kept.begin)
    (in_child,) = registered
    in_child()
    assert begun == ["begun"]
    del kept
    gc.collect()
    in_child()
    assert begun == ["begun"]
