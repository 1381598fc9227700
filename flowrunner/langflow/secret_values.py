"""Decrypt values that Langflow encrypted, with the key derivations of all its releases."""

from __future__ import annotations

import base64
import hashlib
import random
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from flowrunner.errors import BadRequest

#: How everything begins that this cipher gives; a value that does not is plain text.
TOKEN: Final = "gAAAAA"  # noqa: S105 - the beginning of any of them
_SHORT: Final = 32


class SecretValues:
    """Reads values of variables.

    :param secret_key: the text of ``LANGFLOW_SECRET_KEY``, or of the file ``secret_key``; None where it is not given.
    :raises BadRequest: if no key can be made of it.
    """

    def __init__(self, secret_key: str | None) -> None:
        self._cipher = None if not secret_key else MultiFernet([Fernet(key) for key in _keys(secret_key.strip())])
        self.opened = 0
        self.closed = 0

    def open(self, value: str) -> str | None:
        """Return a value in plain text, or None if it is encrypted and cannot be opened."""
        if not value.startswith(TOKEN):
            return value
        if self._cipher is not None:
            try:
                found = self._cipher.decrypt(value.encode()).decode()
            except (InvalidToken, UnicodeError):
                pass
            else:
                self.opened += 1
                return found
        self.closed += 1
        return None


def _keys(secret_key: str) -> list[bytes]:
    if len(secret_key) >= _SHORT:
        padded = secret_key + "=" * (-len(secret_key) % 4)
        try:
            Fernet(padded)
        except ValueError:
            raise BadRequest("This is not a secret key of Langflow: its file contains 43 letters and digits.") from None
        return [padded.encode()]
    # A short text is not a key: newer releases take its digest, older ones fed a generator of numbers with it.
    seeded = random.Random(secret_key)
    old = bytes(seeded.getrandbits(8) for _ in range(32))
    return [base64.urlsafe_b64encode(raw) for raw in (hashlib.sha256(secret_key.encode()).digest(), old)]
