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
    """Everything that the docstring of :class:`~flowrunner.VectorStore` promises, as tests.

    A store is tested by a class of its own, in a file of its own::

        from flowrunner.testing import VectorStoreContract

        class TestMyStore(VectorStoreContract):
            def open_store(self, folder):
                return MyStore(folder)

    and ``pytest``. The groups *processes* and *crashes* are left out where the store does not say
    ``shared`` or ``durable``, and *failing writes* where the class does not say how to ``break_writes``.

    ``open_store`` is also called in processes that the kit starts, which import the file of the class
    by its path and know no fixtures: it may use the folder and environment variables only.
    """
