"""The conformance tests of memory backends."""

from __future__ import annotations

from flowrunner.testing.memory.case import CaseTests
from flowrunner.testing.memory.changing import EditTests, MoveTests
from flowrunner.testing.memory.crashes import DurableTests
from flowrunner.testing.memory.failures import FailureTests
from flowrunner.testing.memory.filters import FilterTests, SearchTests
from flowrunner.testing.memory.histories import HistoryTests
from flowrunner.testing.memory.json_values import ExactTests
from flowrunner.testing.memory.large_numbers import CapTests, PagingTests
from flowrunner.testing.memory.listing import ListTests
from flowrunner.testing.memory.locks import LockTests
from flowrunner.testing.memory.order import OrderTests, WindowTests
from flowrunner.testing.memory.owners import OwnerTests
from flowrunner.testing.memory.patterns import PatternTests
from flowrunner.testing.memory.processes import SharedTests
from flowrunner.testing.memory.threads import ThreadTests
from flowrunner.testing.memory.values import RefusalTests, ValueTests
from flowrunner.testing.memory.verbs import VerbTests
from flowrunner.testing.memory.writers import WriterTests


# pytest runs the tests of the last base first: fast and informative ones are at the end.
class MemoryBackendContract(
    DurableTests,
    HistoryTests,
    SharedTests,
    LockTests,
    CapTests,
    WriterTests,
    ThreadTests,
    FailureTests,
    PatternTests,
    SearchTests,
    PagingTests,
    ListTests,
    OwnerTests,
    CaseTests,
    ExactTests,
    ValueTests,
    RefusalTests,
    MoveTests,
    EditTests,
    VerbTests,
    FilterTests,
    WindowTests,
    OrderTests,
):
    """Tests for everything that the docstring of :class:`~flowrunner.MemoryBackend` promises.

    Test a backend with a class in its own file::

        from flowrunner.testing import MemoryBackendContract

        class TestMyBackend(MemoryBackendContract):
            def open_backend(self, folder):
                return MyBackend(folder / "messages.db")

    and running ``pytest``. A group of tests runs if the class attributes of the backend claim its subject:
    *processes* and *crashes* are skipped unless it is ``shared`` or ``durable``, and *failing writes* unless the test
    class defines ``break_writes``.
    ``python -m flowrunner.testing.memory_report FILE`` prints which groups it passes.

    ``open_backend`` is also called in processes started by the kit, which import the file by its path. There are no
    fixtures in them: it may use only the folder and environment variables.
    """
