"""What a server refuses where its name is a plain word: found without quotes too, and not in ordinary sentences."""

from __future__ import annotations

import pytest
from flowrunner_models.failures import ModelRefused
from flowrunner_models.server_quirks import lesson_of

BODY = {"messages": [{"role": "user", "content": "x"}], "stop": ["a"], "user": "u", "n": 1, "seed": 3}

REFUSALS = {
    "extra_forbidden: stop": "stop",
    "extra_forbidden: n, stop": "n",
    "stop: Extra inputs are not permitted": "stop",
    "body.stop: extra fields not permitted": "stop",
    "1 validation error (seed: not allowed)": "seed",
    "Unsupported: seed": "seed",
    "unknown = user": "user",
    "validation failed; user: not supported": "user",
    "extra inputs: seed": "seed",
    "unknown user: bob": None,
    "please stop: the model is unknown": None,
    "unsupported value; n: must be 1": None,
    "invalid stop: too long": None,
    "the user: ann is not permitted": None,
}


@pytest.mark.parametrize("said", REFUSALS)
def test_a_plain_word_that_is_refused(said):
    assert lesson_of(ModelRefused(said, status=400, details=said), BODY) == REFUSALS[said]
