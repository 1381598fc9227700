"""What authors of plugins test with; it wants the extra ``[testing]``."""

import pytest

# The kit's assertions show their values only if pytest rewrites these modules before they are imported.
pytest.register_assert_rewrite("flowrunner.testing.memory", "flowrunner.testing.memory_contract")

from flowrunner.testing.memory_contract import MemoryBackendContract  # noqa: E402

__all__ = ["MemoryBackendContract"]
