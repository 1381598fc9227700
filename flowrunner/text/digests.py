"""Digests that stand for texts."""

from __future__ import annotations

import hashlib


def digest_of(*words: str) -> str:
    """Return 64 hexadecimal digits that stand for words, whatever characters they have."""
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()
