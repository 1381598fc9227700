"""The memory backend ``lmdb``, as a plugin of flowrunner."""

from flowrunner import hookimpl


def _open(app, settings):
    from flowrunner_lmdb.backend import LmdbMemory

    return LmdbMemory(settings.data_dir / "lmdb")


@hookimpl
def register_memory_backends(register):
    register("lmdb", _open)
