"""Detect whether a model of an ``llm`` plugin reads earlier turns, from its ``execute``."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any, Final

#: How far calls are followed that the prompt is handed on with.
_DEEPEST: Final = 4


def reads_turns(model: Any) -> bool:
    """Return whether ``execute`` looks at ``prompt.messages``, itself or in what it hands the prompt on to.

    Older plugins read the text of the prompt and the conversation only. Other uses of the word in
    their modules say nothing: nearly all have a local list called so.
    """
    execute = getattr(type(model), "execute", None)
    names = _parameters(execute)
    # Beside self, the prompt is the first parameter, whatever it is called.
    return len(names) > 1 and _reads(execute, names[1], type(model), _DEEPEST, set())


def _reads(function: Any, prompt: str, kind: type, depth: int, seen: set[Any]) -> bool:
    """Return whether a function reads the turns of one of its parameters."""
    function = inspect.unwrap(function)
    if depth == 0 or (function, prompt) in seen:
        return False
    seen.add((function, prompt))
    tree = _tree(function)
    if tree is None:
        return False
    names = {prompt, *_other_names(tree, prompt)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "messages" and _is_one_of(node.value, names):
            return True
        if isinstance(node, ast.Call):
            if _asks_by_name(node, names):
                return True
            if _follow(node, names, function, kind, depth, seen):
                return True
    return False


def _follow(call: ast.Call, names: set[str], function: Any, kind: type, depth: int, seen: set[Any]) -> bool:
    """Return whether a call that is handed the prompt reads its turns."""
    place = next((n for n, given in enumerate(call.args) if _is_one_of(given, names)), None)
    keyword = next((k.arg for k in call.keywords if k.arg and _is_one_of(k.value, names)), None)
    if place is None and keyword is None:
        return False
    called, is_method = _called(call.func, function, kind)
    parameters = _parameters(called)
    if place is not None:
        place += is_method and not _is_static(kind, call.func)
        keyword = parameters[place] if place < len(parameters) else None
    return keyword in parameters and _reads(called, str(keyword), kind, depth - 1, seen)


def _called(target: ast.expr, function: Any, kind: type) -> tuple[Any, bool]:
    """Return the function that a call means, and whether it is a method of the model."""
    if isinstance(target, ast.Name):
        return getattr(function, "__globals__", {}).get(target.id), False
    if isinstance(target, ast.Attribute):
        value = target.value
        of_super = isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "super"
        if of_super:
            owner = getattr(function, "__qualname__", "").rpartition(".")[0].rpartition(".")[2]
            above = [k for k in kind.__mro__[1:] if k.__name__ != owner]
            return next((getattr(k, target.attr) for k in above if hasattr(k, target.attr)), None), True
        if isinstance(value, ast.Name):
            module = getattr(function, "__globals__", {}).get(value.id)
            if inspect.ismodule(module):
                return getattr(module, target.attr, None), False
            return getattr(kind, target.attr, None), True
    return None, False


def _other_names(tree: ast.AST, prompt: str) -> set[str]:
    """Return names that the prompt is given besides."""
    return {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id == prompt
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _asks_by_name(call: ast.Call, names: set[str]) -> bool:
    """Return whether a call is ``getattr(prompt, "messages")``."""
    if not (isinstance(call.func, ast.Name) and call.func.id == "getattr" and len(call.args) > 1):
        return False
    word = call.args[1]
    return _is_one_of(call.args[0], names) and isinstance(word, ast.Constant) and word.value == "messages"


def _is_one_of(node: ast.expr, names: set[str]) -> bool:
    """Return whether an expression is the prompt: by name, or as the prompt of a response."""
    return isinstance(node, ast.Name) and node.id in names


def _is_static(kind: type, target: ast.expr) -> bool:
    name = target.attr if isinstance(target, ast.Attribute) else ""
    found = next((k.__dict__[name] for k in kind.__mro__ if name in k.__dict__), None)
    return isinstance(found, staticmethod)


def _parameters(function: Any) -> list[str]:
    try:
        return list(inspect.signature(inspect.unwrap(function)).parameters)
    except (TypeError, ValueError):
        return []


def _tree(function: Callable[..., Any]) -> ast.AST | None:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, IndentationError):
        return None
