"""Customers and their orders."""

from flask_login import UserMixin
from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.security import check_password_hash, generate_password_hash

from shop.extensions import db, login


class Customer(UserMixin, db.Model):
    """Somebody who can log in."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    password: Mapped[str] = mapped_column(String(200))
    is_staff: Mapped[bool] = mapped_column(default=False)

    def set_password(self, password, **options):
        """Keep the hash of a password."""
        self.password = generate_password_hash(password, **options)

    def fits(self, password):
        """Say whether this is the customer's password."""
        return check_password_hash(self.password, password)


class Order(db.Model):
    """Something that a customer ordered."""

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    what: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(20), default="being packed")

    @classmethod
    def of_customer(cls, customer_id, number):
        """Return a customer's order by its number, or None."""
        return db.session.scalar(select(cls).filter_by(id=number, customer_id=int(customer_id)))


@login.user_loader
def load_customer(customer_id):
    return db.session.get(Customer, int(customer_id))
