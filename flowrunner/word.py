"""The origin of a value: set by the operator, by an author or by the request.

:mod:`flowrunner.engine.provenance` finds it out, :mod:`flowrunner.outgoing` decides by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Word(IntEnum):
    """The origin of a value, least trusted first: ``Word.REQUEST < Word.AUTHOR < Word.OPERATOR``.

    The operator sets settings, environment variables and flows in folders; on a local server without API keys, also
    the flows and variables of the local user. An author sets flows stored over the API, and stored variables.
    Everything else is set by the request: its body, tweaks and variables, what is derived from them, and data from
    the network.
    """

    REQUEST = 1
    AUTHOR = 2
    OPERATOR = 3


@dataclass(frozen=True, slots=True)
class Given:
    """The origin of the value of an input.

    ``word`` is the least trusted origin of the value: check this for an address. ``secret`` is the most trusted owner
    of a secret that it may contain: check this for a key, headers or a body. ``own`` is the value without this
    request, and ``own_word`` its origin. ``tweaked`` means that the value was set by a tweak, and not by an edge or a
    model.
    """

    word: Word
    secret: Word
    own: Any = None
    own_word: Word = Word.REQUEST
    tweaked: bool = False
