"""The conformance tests of vector stores."""

from __future__ import annotations

from flowrunner.testing.vectors.searching import SearchTests
from flowrunner.testing.vectors.storing import DeletingTests, FailureTests, OwnerTests, RefusalTests, StoringTests
from flowrunner.testing.vectors.together import DurableTests, SharedTests, ThreadTests


class VectorStoreContract(
    StoringTests,
    DeletingTests,
    SearchTests,
    RefusalTests,
    OwnerTests,
    ThreadTests,
    SharedTests,
    DurableTests,
    FailureTests,
):
    """Tests for everything that the docstring of :class:`~flowrunner.VectorStore` promises.

    Test a store with a class in its own file::

        from flowrunner.testing import VectorStoreContract

        class TestMyStore(VectorStoreContract):
            def open_store(self, folder):
                return MyStore(folder)

    and running ``pytest``. The groups *processes* and *crashes* are skipped unless the store is ``shared`` or
    ``durable``, and *failing writes* unless the test class defines ``break_writes``.

    ``open_store`` is also called in processes started by the kit, which import the file by its path. There are no
    fixtures in them: it may use only the folder and environment variables.
    """
