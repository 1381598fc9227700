"""The fingerprint of the secret key, so that hosts that share a database use the same key."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Engine, insert, select

from flowrunner.errors import SettingsInvalid
from flowrunner.store.engine import go_alone, reading, writing
from flowrunner.store.secretbox import SecretBox
from flowrunner.store.tables import facts, variables

_NAME: Final = "secret_key"
_TEXT: Final = "flowrunner"


def confirm_key(engine: Engine, box: SecretBox, setting: str) -> None:
    """Make sure that this host opens what the others close; the first one decides.

    A SQLite file is one host's own: there a key that was lost is said where something cannot be opened.

    :param setting: full name of the setting that gives the key.
    :raises SettingsInvalid: if the database's secrets were closed by another key.
    """
    if engine.dialect.name == "sqlite":
        return
    wanted = select(facts.c.value).where(facts.c.name == _NAME)
    with reading(engine) as connection:
        mark = connection.execute(wanted).scalar()
    if mark is None:
        with writing(engine) as connection:
            go_alone(connection, "flowrunner key")
            mark = connection.execute(wanted).scalar()
            if mark is None:
                # A database of an earlier release has no mark; what it holds tells as much.
                mark = connection.execute(select(variables.c.value).where(variables.c.value.is_not(None))).scalar()
                if mark is None or box.open(mark) is not None:
                    mark = box.close(_TEXT)
                    connection.execute(insert(facts).values(name=_NAME, value=mark))
    if box.open(mark) is None:
        raise SettingsInvalid(
            f"The secrets in this database were encrypted with a different key: set {setting} to the key used by the"
            " first host, or copy secret.key from its data folder to this one."
        )
