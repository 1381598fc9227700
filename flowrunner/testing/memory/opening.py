"""Open the backend under test."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest

from flowrunner.memory import MemoryBackend
from flowrunner.testing.memory.helpers import Helpers
from flowrunner.testing.memory.limits import limit_of, limited
from flowrunner.testing.memory.promises import KIT_VERSION, quoting, since, version_of

_HELPERS: Final = pytest.StashKey[dict[str, Helpers]]()


class BackendTests:
    """What all groups of tests have in common. Authors override what stands here."""

    #: The name of the group in the report.
    group: ClassVar[str] = ""
    #: The version of the kit with which its tests came that do not say another by ``since``.
    came_with: ClassVar[int] = 1
    #: What authors of backends did wrong that this group has found.
    mistakes: ClassVar[tuple[str, ...]] = ()
    #: The version of the kit to test with; None means the newest. Tests that came later are left out.
    kit_version: ClassVar[int | None] = None
    #: Seconds that one test may take.
    time_limit: ClassVar[float] = 120.0
    #: Seconds that a test waits for what must come, such as a lock that its dead holder frees.
    patience: ClassVar[float] = 30.0
    #: Seconds after which the lock of a session ends whose holder stands still; None if only death ends it.
    lock_lease: ClassVar[float | None] = None
    #: How often the group on crashes kills a process that writes.
    kills: ClassVar[int] = 6

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let the tests of a group quote the contract when they fail."""
        super().__init_subclass__(**kwargs)
        if "group" in vars(cls):
            for name, test in list(vars(cls).items()):
                if name.startswith("test_") and inspect.isfunction(test) and test.__doc__:
                    setattr(cls, name, quoting(since(version_of(test, cls.came_with))(test)))

    def open_backend(self, folder: Path) -> MemoryBackend:
        """Open the backend on an empty folder, or on what an earlier one left there.

        Processes that the kit starts call it too, on an instance that pytest does not know: it may
        use the folder and environment variables, but no fixtures.
        """
        raise NotImplementedError("A test class must define open_backend(folder).")

    def open_again(self, folder: Path) -> MemoryBackend:
        """Open it once more, on the place of one that is open or was closed or killed."""
        return self.open_backend(folder)

    def break_writes(self, backend: MemoryBackend) -> AbstractContextManager[None] | None:
        """Return a context within which the backend's writes fail, as on a full disk; None: there is no way."""
        return None

    def crash_store(self, folder: Path) -> None:
        """Let the server that keeps the store die at once, as by ``kill -9``, and start it again.

        Only for stores that are processes of their own, to show what ``durable`` means there; where
        the backend writes files itself, the kit kills the processes that use it. A class that does
        not say how leaves that test out.
        """
        raise NotImplementedError

    def clear_store(self, folder: Path) -> None:  # noqa: B027
        """Remove what a test left behind outside of its folder, such as tables on a server.

        Called after each test, also after one that failed or whose backend could not be opened.
        """

    @classmethod
    def where(cls) -> tuple[str, str] | None:
        """Return the file and the qualified name by which other processes find the class; None if they cannot."""
        return inspect.getfile(cls), cls.__qualname__

    @pytest.fixture(autouse=True)
    def kit_limits(self, request: pytest.FixtureRequest) -> Iterator[None]:
        """Leave out what came with a later kit than the class names, and stop a test that hangs."""
        wanted = KIT_VERSION if self.kit_version is None else self.kit_version
        assert wanted in range(1, KIT_VERSION + 1), (
            f"kit_version of {type(self).__name__} is {wanted!r}; this kit has the versions 1 to {KIT_VERSION}"
        )
        came = version_of(getattr(type(self), request.node.originalname, None))
        if came > wanted:
            pytest.skip(f"it came with version {came} of the kit")
        with limited(limit_of(self), request.node.name):
            yield

    @pytest.fixture(autouse=True)
    def kit_clears(self, kit_limits: None, folder: Path) -> Iterator[None]:
        """Remove what a test left behind, however it ended."""
        yield
        self.clear_store(folder)

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Return the place that belongs to one test."""
        return tmp_path

    @pytest.fixture
    def backend(self, folder: Path) -> Iterator[MemoryBackend]:
        """Open the backend for one test."""
        backend = self.open_backend(folder)
        assert isinstance(backend, MemoryBackend), (
            f"open_backend returned {type(backend).__name__}, which is not a flowrunner.MemoryBackend"
        )
        yield backend
        backend.close()

    @pytest.fixture
    def open_another(self, folder: Path) -> Iterator[Callable[[], MemoryBackend]]:
        """Return a function that opens the backend once more; what it opened is closed, however the test ends."""
        with ExitStack() as opened:

            def open_one() -> MemoryBackend:
                backend = self.open_again(folder)
                opened.callback(backend.close)
                return backend

            yield open_one

    @pytest.fixture
    def helpers(self, request: pytest.FixtureRequest) -> Helpers:
        """Return what starts other processes; one does it for all classes of tests in a file."""
        place = self.where()
        if place is None:
            pytest.skip("other processes cannot find open_backend: define it at the top level of a file")
        file, name = place
        module: Any = request.node.getparent(pytest.Module)
        of_files: dict[str, Helpers] = module.stash.setdefault(_HELPERS, {})
        found = of_files.get(file)
        if found is None:
            found = of_files[file] = Helpers(file, name)
            module.addfinalizer(found.close)
        found.name = name
        return found
