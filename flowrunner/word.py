"""The origin of a value: set by the operator, by an author or by the request.

:mod:`flowrunner.engine.provenance` finds it out, :mod:`flowrunner.outgoing` decides by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Word(IntEnum):
    """Who says something, the least trusted first: ``Word.REQUEST < Word.AUTHOR < Word.OPERATOR``.

    The operator speaks through settings, the environment, and flows of folders; on an open server
    of this machine also through the flows and variables of its local user. An author speaks through
    a flow stored over the API and through stored variables. All else is the request's: its body,
    its tweaks, the variables that it brings, and what is made of them or comes from the world.
    """

    REQUEST = 1
    AUTHOR = 2
    OPERATOR = 3


@dataclass(frozen=True, slots=True)
class Given:
    """Who had a hand in the value of an input.

    ``word`` is the least trusted who decided on it: ask this of an address. ``secret`` is the most
    trusted whose secrets it may hold: ask this of a key, of headers, of a body. ``own`` is the value
    that the input would have without this request, and ``own_word`` whose word that is. ``tweaked``
    says that a tweak of the request stands in its place, and neither an edge nor a model fills the input.
    """

    word: Word
    secret: Word
    own: Any = None
    own_word: Word = Word.REQUEST
    tweaked: bool = False
