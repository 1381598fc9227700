"""What ``gunicorn wsgi:app`` in this folder needs besides its own defaults; ``flowrunner.serving`` has all of it."""

from flowrunner.serving import header_map, threads, worker_class

__all__ = ["header_map", "threads", "worker_class"]
