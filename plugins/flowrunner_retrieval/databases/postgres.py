"""Keep libpq from sending this machine's credentials to servers that flows name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

#: A path at which there can be no file. Where one is blank, the library looks in the home of the server's user.
_NO_FILE: Final = f"{os.devnull}/none"
#: What the library would take from ``PG...``, service files, ``.pgpass`` or the home, and what it gets instead.
_INSTEAD: Final[dict[str, str]] = {
    "password": "",
    "passfile": _NO_FILE,
    "port": "5432",
    "options": "",
    "application_name": "flowrunner",
    "sslcert": _NO_FILE,
    "sslkey": _NO_FILE,
    "sslcertmode": "disable",
    "gssencmode": "disable",
    "gssdelegation": "0",
    # Neither tickets of Kerberos nor tokens of OAuth: a password, or nothing.
    "require_auth": "password,md5,scram-sha-256,none",
    "target_session_attrs": "any",
}


def without_surroundings(named: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a connection, with those that the surroundings of the process would fill in.

    A service that ``PGSERVICE`` names fills in only what is not said, so that saying it keeps that out, too.
    """
    from psycopg import pq

    # Older libraries know fewer, and refuse what they do not know.
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    said = {name: value for name, value in named.items() if value is not None}
    instead = {name: value for name, value in _INSTEAD.items() if name in known}
    return {**instead, "dbname": said.get("user", ""), **said}
