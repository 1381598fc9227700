"""The memory backend ``redis``, as a plugin of flowrunner."""

from flowrunner import Setting, hookimpl

SETTINGS = (
    Setting("REDIS_URL", "redis://127.0.0.1:6379/0", "where Redis is; redis://, rediss:// or unix://"),
    Setting("REDIS_PREFIX", "flowrunner", "what the names of all keys begin with"),
    Setting("REDIS_LOCK_LEASE", 30.0, "seconds after which the lock of a host that stands still ends", float),
)


def _open(app, settings):
    from flowrunner_redis.backend import RedisMemory

    return RedisMemory(settings.redis_url, settings.redis_prefix, settings.redis_lock_lease)


@hookimpl
def register_memory_backends(register):
    register("redis", _open, settings=SETTINGS)
