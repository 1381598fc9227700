"""Translate database errors to the errors of the contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from flowrunner import MemoryFailed, MessageInvalid, outage_reason


def driver_error(engine: Engine) -> Any:
    """Return the root of the driver's own errors: what it raises outside SQLAlchemy's reach, at BEGIN for one."""
    driver: Any = engine.dialect.dbapi
    return driver.Error


@contextmanager
def contract_errors(engine: Engine) -> Iterator[None]:
    """Raise errors of the database as the contract names them."""
    try:
        yield
    except IntegrityError as error:
        raise taken(error) from error
    except UnicodeEncodeError as error:
        raise unreadable(error) from error
    except (SQLAlchemyError, driver_error(engine)) as error:
        # An outage of the database is SQLAlchemy's error, too; other errors of ours pass.
        raise failed(error) from error


def taken(error: BaseException) -> MessageInvalid:
    """Return the error for an id that already exists."""
    return MessageInvalid("A message with this id already exists.")


def unreadable(error: UnicodeError) -> MessageInvalid:
    """Return the error for text that is not Unicode text."""
    return MessageInvalid("The text contains a lone surrogate, which cannot be encoded.")


def failed(error: BaseException) -> MemoryFailed:
    """Return the error for everything else.

    The parameters of a statement, people's texts, are left out; so are addresses and paths, since
    it is an answer to clients.
    """
    reason = outage_reason(error)
    if reason:
        return MemoryFailed(f"The message store cannot be used now: {reason}.")
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    words = str(cause).strip().split("\n")[0]
    return MemoryFailed(f"The message store failed: {words or type(cause).__name__}.")
