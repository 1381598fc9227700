"""What is counted for all processes is counted right, however the database is set up."""

import threading

from sqlalchemy import insert, text

from flowrunner.store.counts import HeldPlaces
from flowrunner.store.engine import go_alone, writing
from flowrunner.store.ledger import Ledger
from flowrunner.store.tables import places
from tests.waiting import wait_until


def somebody_waits(engine):
    with engine.connect() as connection:
        return connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one() > 0


def test_who_waited_sees_what_was_taken_meanwhile(own_engine):
    engine = own_engine
    is_postgresql = engine.dialect.name == "postgresql"
    if is_postgresql:
        change = f"ALTER DATABASE {engine.url.database} SET default_transaction_isolation TO 'repeatable read'"
        with engine.begin() as connection:
            connection.execute(text(change))
        engine.dispose()
    Ledger(engine).register(id="here", place="here", host="here", pid=1)
    held, missing = HeldPlaces(engine), []
    thread = threading.Thread(target=lambda: missing.append(held.take("two", "here", {"one place": 1})))
    with writing(engine) as connection:
        go_alone(connection, "flowrunner-places")
        connection.execute(insert(places).values(name="one place", run_id="one", process="here"))
        thread.start()
        assert not is_postgresql or wait_until(lambda: somebody_waits(engine), 30)
    thread.join(30)
    assert missing == ["one place"]
