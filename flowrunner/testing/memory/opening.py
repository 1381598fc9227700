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
    """The base class of all groups of tests. Authors override its methods and attributes."""

    #: The name of the group in the report.
    group: ClassVar[str] = ""
    #: The version of the kit with which its tests came that do not say another by ``since``.
    came_with: ClassVar[int] = 1
    #: Mistakes in backends that this group has found.
    mistakes: ClassVar[tuple[str, ...]] = ()
    #: The version of the kit to test with; None means the newest. Later tests are skipped.
    kit_version: ClassVar[int | None] = None
    #: The time limit of a test, in seconds.
    time_limit: ClassVar[float] = 120.0
    #: Seconds to wait for an expected event, such as the release of a lock by a dead holder.
    patience: ClassVar[float] = 30.0
    #: The lease of a session lock in seconds, after which it is released if its holder hangs; None without leases.
    lock_lease: ClassVar[float | None] = None
    #: How often the group on crashes kills a writing process.
    kills: ClassVar[int] = 6

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let the tests of a group quote the contract when they fail."""
        super().__init_subclass__(**kwargs)
        if "group" in vars(cls):
            for name, test in list(vars(cls).items()):
                if name.startswith("test_") and inspect.isfunction(test) and test.__doc__:
                    setattr(cls, name, quoting(since(version_of(test, cls.came_with))(test)))

    def open_backend(self, folder: Path) -> MemoryBackend:
        """Open the backend in an empty folder, or in one that an earlier backend used.

        It is also called in processes started by the kit, without pytest: it may use the folder and environment
        variables, but no fixtures.
        """
        raise NotImplementedError("A test class must define open_backend(folder).")

    def open_again(self, folder: Path) -> MemoryBackend:
        """Open the backend again, while another one is open, or after it was closed or killed."""
        return self.open_backend(folder)

    def break_writes(self, backend: MemoryBackend) -> AbstractContextManager[None] | None:
        """Return a context manager within which writes fail, as on a full disk; None if this is not possible."""
        return None

    def crash_store(self, folder: Path) -> None:
        """Kill the server of the store as by ``kill -9``, and start it again.

        Only for stores with a server, to test ``durable``; for backends that write files, the kit kills the processes
        that use them. The test is skipped if a class does not define this.
        """
        raise NotImplementedError

    def clear_store(self, folder: Path) -> None:  # noqa: B027
        """Remove data outside the folder of the test, such as tables on a server.

        Called after each test, also if it failed or the backend could not be opened.
        """

    @classmethod
    def where(cls) -> tuple[str, str] | None:
        """Return the file and the qualified name of the class for other processes; None if they cannot find it."""
        return inspect.getfile(cls), cls.__qualname__

    @pytest.fixture(autouse=True)
    def kit_limits(self, request: pytest.FixtureRequest) -> Iterator[None]:
        """Skip tests of later versions of the kit than the class names, and stop a test that hangs."""
        wanted = KIT_VERSION if self.kit_version is None else self.kit_version
        assert wanted in range(1, KIT_VERSION + 1), (
            f"kit_version of {type(self).__name__} is {wanted!r}; this kit has the versions 1 to {KIT_VERSION}"
        )
        came = version_of(getattr(type(self), request.node.originalname, None))
        if came > wanted:
            pytest.skip(f"the test was added in version {came} of the kit")
        with limited(limit_of(self), request.node.name):
            yield

    @pytest.fixture(autouse=True)
    def kit_clears(self, kit_limits: None, folder: Path) -> Iterator[None]:
        """Remove the data of a test, however it ended."""
        yield
        self.clear_store(folder)

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Return the folder of one test."""
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
        """Return a function that opens the backend again; these backends are closed after the test."""
        with ExitStack() as opened:

            def open_one() -> MemoryBackend:
                backend = self.open_again(folder)
                opened.callback(backend.close)
                return backend

            yield open_one

    @pytest.fixture
    def helpers(self, request: pytest.FixtureRequest) -> Helpers:
        """Return the helper that starts other processes, shared by all test classes in a file."""
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
