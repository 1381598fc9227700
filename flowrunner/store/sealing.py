"""Encrypt the credentials inside stored flows, and nothing else in them."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any, Final

from flowrunner.store.credentials import is_secret_name, is_secret_pair, mask_text, secret_member
from flowrunner.store.secretbox import SecretBox
from flowrunner.text.unopened import Unopened

logger = logging.getLogger("flowrunner")

#: The prefix of an encrypted value. A value from a client with this prefix is encrypted again.
SEAL: Final = "sealed:v1:"


def seal(value: Any, box: SecretBox) -> Any:
    """Return a copy of a JSON value with each credential encrypted.

    Credentials are values with a name such as ``api_key``, values of fields marked as passwords, and texts that
    contain something that looks like a credential.
    """
    if isinstance(value, str):
        return _close(value, box) if value.startswith(SEAL) or mask_text(value) != value else value
    if isinstance(value, Mapping):
        password = value.get("password") is True
        hidden = secret_member(value)
        return {
            key: _close(item, box)
            if item and (is_secret_name(str(key)) or key == hidden or (password and key == "value"))
            else seal(item, box)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        if is_secret_pair(value):
            return [value[0], _close(value[1], box)]
        return [seal(item, box) for item in value]
    return value


def unseal(value: Any, box: SecretBox) -> Any:
    """Undo :func:`seal`. Values encrypted with another key become :class:`Unopened`."""
    if isinstance(value, str):
        return _open(value, box) if value.startswith(SEAL) else value
    if isinstance(value, dict):
        return {key: unseal(item, box) for key, item in value.items()}
    if isinstance(value, list):
        return [unseal(item, box) for item in value]
    return value


def _close(value: Any, box: SecretBox) -> Any:
    if isinstance(value, bool) or _is_of_another_key(value, box):
        return value
    return SEAL + box.close(json.dumps(value))


def _is_of_another_key(value: Any, box: SecretBox) -> bool:
    """Return whether a value is encrypted with another key; such a value is shown and stored unchanged."""
    return isinstance(value, str) and value.startswith(SEAL) and box.open(value[len(SEAL) :]) is None


def _open(text: str, box: SecretBox) -> Any:
    opened = box.open(text[len(SEAL) :])
    if opened is None:
        logger.warning("A credential in a stored flow was encrypted with another key and was left unchanged.")
        return Unopened(text)
    return json.loads(opened)
