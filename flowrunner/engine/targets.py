"""Index of tweak targets in a flow: vertices by id and name, and their fields."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flowrunner.engine.planned import PlannedVertex

#: Fields that no tweak may change, whatever their type.
PROTECTED: Final = frozenset({"code", "_type", "function_code", "python_code", "tool_code"})


class TweakTargets:
    """The tweak targets of one plan; each table is built on first use."""

    def __init__(self, vertices: Sequence[PlannedVertex]) -> None:
        self._vertices = vertices

    @cached_property
    def by_id(self) -> dict[str, int]:
        """Positions of vertices by id."""
        return {v.vertex.id: v.index for v in self._vertices}

    @cached_property
    def by_name(self) -> dict[str, int]:
        """Positions of vertices by display name; of equal names, the last one."""
        return {v.display_name: v.index for v in self._vertices}

    @cached_property
    def by_field(self) -> dict[str, list[int]]:
        """Positions of the vertices that have a field, by the name of the field."""
        found: dict[str, list[int]] = {}
        for planned in self._vertices:
            vertex = planned.vertex
            names = {"session_id", *vertex.settings, *vertex.hidden, *vertex.field_types}
            for declared in planned.inputs.values():
                names.update((declared.name, *declared.aliases))
            for name in names:
                found.setdefault(name, []).append(planned.index)
        return found

    @cached_property
    def protected(self) -> frozenset[str]:
        """Names of fields that tweaks may not change."""
        return PROTECTED.union(*(v.vertex.protected for v in self._vertices))
