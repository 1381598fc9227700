"""Frozen components: reuse the first result in later runs if it depends on no request and no session."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from flowrunner.memory.forks import after_fork
from flowrunner.memory.message import Message, utc_now

Key = tuple[str, str, str, str]

MAX_KEPT: Final = 1000


class FrozenResults:
    """A bounded cache of outputs that evicts the least recently used. There is one per runner."""

    def __init__(self, limit: int = MAX_KEPT) -> None:
        self._limit = limit
        self._kept: OrderedDict[Key, tuple[Mapping[str, Any], frozenset[str]]] = OrderedDict()
        self._start_in_child()
        after_fork(self._start_in_child)

    def _start_in_child(self) -> None:
        self._lock = threading.Lock()

    @staticmethod
    def key(owner: str, flow_id: str, vertex_id: str, type_name: str, values: Mapping[str, Any]) -> Key:
        """Return the cache key of a vertex with the values of its own fields (without those from edges)."""
        shown = json.dumps([type_name, values], sort_keys=True, default=repr)
        return owner, flow_id, vertex_id, shown

    def get(self, key: Key, session_id: str = "", given: Mapping[str, str] | None = None) -> dict[str, Any] | None:
        """Return cached outputs, or None. Messages in them get a new timestamp and this session.

        :param given: the request's variables; an entry whose component used one of them is not returned.
        """
        with self._lock:
            found, asked = self._kept.get(key, (None, frozenset()))
            if found is None or (given and not asked.isdisjoint(given)):
                return None
            self._kept.move_to_end(key)
        now = utc_now()
        return {
            k: v.replace(timestamp=now, session_id=session_id if v.session_id else "") if isinstance(v, Message) else v
            for k, v in found.items()
        }

    def keep(self, key: Key, outputs: Mapping[str, Any], asked: Iterable[str] = ()) -> None:
        """Cache the outputs of a vertex.

        :param asked: names of the variables that it looked up.
        """
        with self._lock:
            self._kept[key] = dict(outputs), frozenset(asked)
            self._kept.move_to_end(key)
            while len(self._kept) > self._limit:
                self._kept.popitem(last=False)
