"""Keep our tables out of a site's own Alembic and Flask-Migrate history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

#: All our tables begin so, in every database.
OUR_PREFIX: Final = "flowrunner_"

IncludeName = Callable[[str | None, str, Any], bool]


def without_ours(include_name: IncludeName | None = None) -> IncludeName:
    """Return an ``include_name`` for Alembic's ``context.configure`` that passes over our tables.

    Without it ``flask db migrate`` finds tables that no model of the site has, and writes a
    migration that drops them. Ours are made and changed by ``flowrunner db upgrade`` alone.

    :param include_name: the site's own, asked about everything else.
    """

    def includes(name: str | None, kind: str, parents: Any) -> bool:
        if kind == "table" and (name or "").startswith(OUR_PREFIX):
            return False
        return include_name is None or include_name(name, kind, parents)

    return includes
