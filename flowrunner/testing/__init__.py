"""Test support for plugin authors and for sites with a runner; the kits need the extra ``[testing]``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    """Import a kit when it is used: the fixtures and the command line need none of them."""
    if name == "MemoryBackendContract":
        from flowrunner.testing.memory_contract import MemoryBackendContract

        return MemoryBackendContract
    if name == "validate":
        from flowrunner.testing.validating import validate

        return validate
    if name == "KIT_VERSION":
        from flowrunner.testing.memory.promises import KIT_VERSION

        return KIT_VERSION
    if name == "VectorStoreContract":
        from flowrunner.testing.vector_contract import VectorStoreContract

        return VectorStoreContract
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
