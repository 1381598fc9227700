"""A shop of its own for each test, with two customers and an order each."""

import pytest
from shop import create_app, db
from shop.models import Customer, Order


@pytest.fixture
def app(tmp_path):
    app = create_app(
        {
            "TESTING": True,
            "WTF_CSRF_ENABLED": False,
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'shop.db'}",
            "FLOWRUNNER_DATA_DIR": str(tmp_path),
            "FLOWRUNNER_MEMORY": "in-memory",
        }
    )
    with app.app_context():
        db.create_all()
        for number, name in enumerate(("ann", "bob"), start=1):
            customer = Customer(id=number, name=name)
            customer.set_password(f"{name}'s", method="pbkdf2:sha256:1")
            db.session.add_all([customer, Order(id=number * 10, customer_id=number, what="a kettle")])
        db.session.commit()
    yield app
    for runner in app.extensions["flowrunner"].values():
        runner.close()
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose()


@pytest.fixture
def ann(app):
    """Ann's browser, logged in."""
    client = app.test_client()
    client.post("/login", data={"name": "ann", "password": "ann's"})
    return client
