"""Pagination of lists: query fields and cursor headers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from marshmallow.fields import Field

from flowrunner.web.fields import Items, Number, Uuid

#: The header with the cursor of the next page, absent on the last page.
NEXT_CURSOR: Final = "X-Next-Cursor"

_USUAL: Final = 100
#: The maximum number of entries per page.
MOST: Final = 200
_MOST_IDS: Final = 10_000

FLOW: Final = Uuid("Only entries of this flow.")
LIMIT: Final = Number("Return at most N entries; 0 means 100, and values over 200 mean 200.", load_default=_USUAL)
OFFSET: Final = Number("Skip the newest N entries.", load_default=0)
#: A body with a list of ids.
IDS: Final = Items(Uuid(), most=_MOST_IDS, too_many=f"The list has {{count}} ids; at most {_MOST_IDS} are allowed.")


def limit_of(query: Mapping[str, Any]) -> int:
    """Return the number of entries requested by a query with ``LIMIT``."""
    return min(query["limit"] or _USUAL, MOST)


def next_page(cursor: str | None) -> dict[str, str]:
    """Return the header with the cursor of the next page; empty on the last page."""
    return {} if cursor is None else {NEXT_CURSOR: cursor}


def numbered(things: str, most: int, **page: Any) -> dict[str, Field[Any]]:
    """Return the query fields for numbered pages.

    :param things: the name of the entries.
    :param most: the maximum number of entries per page.
    :param page: options of the page number, if it does not count from 1.
    """
    about = {"help": "Page number, from 1.", "low": 1, "load_default": 1, **page}
    return {"page": Number(**about), "size": Number(f"{things} per page.", low=1, high=most, load_default=50)}


def one_page(found: Sequence[Any], page: int, size: int) -> dict[str, Any]:
    """Return a page of a list, with the total number of entries."""
    items = found[(page - 1) * size : page * size]
    total = len(found)
    return {"items": items, "total": total, "page": page, "size": size, "pages": -(-total // size)}
