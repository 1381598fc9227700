"""The placeholder for text that cannot be decrypted."""

from __future__ import annotations


class Unopened(str):
    """What was encrypted with another key, as it is stored: it is shown and written back so, and never used."""

    __slots__ = ()
