"""The encryption key of stored secrets: configured, or generated once and kept in the data folder."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import tempfile
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flowrunner.errors import SettingsInvalid

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

KEY_FILE: Final = "secret.key"
_KEY_SIZE: Final = 32


class SecretBox:
    """Encrypts and decrypts short texts.

    :param key: 32 bytes in URL-safe base64.
    :raises ValueError: if it is anything else.
    """

    def __init__(self, key: bytes) -> None:
        if len(base64.urlsafe_b64decode(key)) != _KEY_SIZE:
            raise ValueError(f"A key has {_KEY_SIZE} bytes in URL-safe base64.")
        self._key = key
        # A separate key is derived for each purpose.
        self._digest_key = hmac.digest(key, b"flowrunner digests", "sha256")

    @cached_property
    def _fernet(self) -> Fernet:
        # Imported on first use: cryptography takes 6 MB of memory.
        from cryptography.fernet import Fernet

        return Fernet(self._key)

    def close(self, text: str) -> str:
        """Encrypt a text."""
        return self._fernet.encrypt(text.encode("utf-8", "surrogatepass")).decode()

    def digest(self, text: str) -> str:
        """Return a keyed digest of a text, as 64 hexadecimal digits; it cannot be guessed without the key."""
        return hmac.digest(self._digest_key, text.encode("utf-8", "surrogatepass"), "sha256").hex()

    def open(self, text: str) -> str | None:
        """Decrypt what :meth:`close` returned; None if it was encrypted with another key."""
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet.decrypt(text.encode()).decode("utf-8", "surrogatepass")
        except InvalidToken:
            return None


def open_secret_box(secret_key: str | None, folder: Path) -> SecretBox:
    """Return the secret box of a runner.

    :param secret_key: any text set by the operator; without it, a key is read from or created in the folder.
    :raises SettingsInvalid: if the key file does not contain a key.
    """
    if secret_key:
        # The setting may be any text, but the cipher needs 32 bytes.
        return SecretBox(base64.urlsafe_b64encode(hashlib.sha256(secret_key.encode()).digest()))
    path = folder / KEY_FILE
    key = _read(path) or _make(path)
    try:
        return SecretBox(key)
    except ValueError as error:
        raise SettingsInvalid(
            f"The file {path} contains no key: restore it, or delete it and enter the secrets again."
        ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes().strip()
    except FileNotFoundError:
        return b""


def _make(path: Path) -> bytes:
    """Create a key file. If several processes do so at once, one succeeds and all use its key."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(base64.urlsafe_b64encode(os.urandom(_KEY_SIZE)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)
    return _read(path)
