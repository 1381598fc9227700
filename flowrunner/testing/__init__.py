"""Test support for plugin authors and for sites with a runner; the kits need the extra ``[testing]``."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from flowrunner.testing.memory.promises import KIT_VERSION
    from flowrunner.testing.memory_contract import MemoryBackendContract
    from flowrunner.testing.validating import validate
    from flowrunner.testing.vector_contract import VectorStoreContract

__all__ = ["KIT_VERSION", "MemoryBackendContract", "VectorStoreContract", "validate"]

if "pytest" in sys.modules:
    # The kit's assertions show their values only if pytest rewrites these modules before they are imported.
    sys.modules["pytest"].register_assert_rewrite(
        "flowrunner.testing.memory",
        "flowrunner.testing.memory_contract",
        "flowrunner.testing.vectors",
        "flowrunner.testing.vector_contract",
    )


#: Where the kits lie.
_KITS: Final = {
    "KIT_VERSION": "flowrunner.testing.memory.promises",
    "MemoryBackendContract": "flowrunner.testing.memory_contract",
    "VectorStoreContract": "flowrunner.testing.vector_contract",
    "validate": "flowrunner.testing.validating",
}


def __getattr__(name: str) -> Any:
    """Import a kit when it is used: the fixtures and the command line need none of them."""
    if name not in _KITS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_KITS[name]), name)
