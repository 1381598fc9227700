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
    """Check that all hosts of a database use the same key; the first one decides.

    A SQLite file belongs to one host: there a lost key is reported when a secret cannot be decrypted.

    :param setting: the full name of the setting of the key.
    :raises SettingsInvalid: if the secrets in the database were encrypted with another key.
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
                # A database of an earlier release has no fingerprint, so try to decrypt one of its secrets.
                mark = connection.execute(select(variables.c.value).where(variables.c.value.is_not(None))).scalar()
                if mark is None or box.open(mark) is not None:
                    mark = box.close(_TEXT)
                    connection.execute(insert(facts).values(name=_NAME, value=mark))
    if box.open(mark) is None:
        raise SettingsInvalid(
            f"The secrets in this database were encrypted with a different key: set {setting} to the key used by the"
            " first host, or copy secret.key from its data folder to this one."
        )
