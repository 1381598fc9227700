"""What stands in place of a text that cannot be decrypted."""

from __future__ import annotations


class Unopened(str):
    """An empty text that says why it is one: what it stands for was encrypted with another key."""

    __slots__ = ()
