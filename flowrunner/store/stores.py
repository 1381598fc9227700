"""All stores of a runner except the memory backend, as one typed object."""

from __future__ import annotations

from dataclasses import dataclass

from flowrunner.store.files import FileStore
from flowrunner.store.flows import FlowStore
from flowrunner.store.keys import KeyStore
from flowrunner.store.projects import ProjectStore
from flowrunner.store.runlog import RunLog
from flowrunner.store.titles import TitleStore
from flowrunner.store.variables import VariableStore


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of one runner, all on its engine; ``run_log`` is None where the settings turn it off."""

    keys: KeyStore
    flows: FlowStore
    projects: ProjectStore
    titles: TitleStore
    variables: VariableStore
    files: FileStore
    run_log: RunLog | None

    def close(self) -> None:
        """Write pending data and stop the threads of the stores; the engine stays open."""
        if self.run_log is not None:
            self.run_log.close()
        self.keys.close()
