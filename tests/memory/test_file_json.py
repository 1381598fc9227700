"""The whole contract on the backend ``file-json``, and what only it promises."""

from __future__ import annotations

from pathlib import Path

from flowrunner_file_json.backend import FileJson

from flowrunner.testing import MemoryBackendContract


class TestFileJson(MemoryBackendContract):
    def open_backend(self, folder: Path) -> FileJson:
        return FileJson(folder / "messages")
