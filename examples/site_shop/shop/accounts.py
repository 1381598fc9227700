"""Logging in and out."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_login import login_required, login_user, logout_user
from flask_wtf import FlaskForm
from sqlalchemy import select
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired

bp = Blueprint("accounts", __name__)


class LoginForm(FlaskForm):
    name = StringField(validators=[InputRequired()])
    password = PasswordField(validators=[InputRequired()])


@bp.route("/login", methods=["GET", "POST"])
def login():
    from shop.models import Customer, db

    form = LoginForm()
    if form.validate_on_submit():
        customer = db.session.scalar(select(Customer).filter_by(name=form.name.data))
        if customer is not None and customer.fits(form.password.data):
            login_user(customer)
            return redirect(_own_page(request.args.get("next")))
        flash("Name and password do not belong together.")
    return render_template("login.html", form=form)


@bp.post("/logout")
@login_required
def logout():
    logout_user()
    return redirect(url_for("accounts.login"))


def _own_page(asked):
    """Return the page that was asked for, if it is one of ours: other addresses would lead visitors astray."""
    if asked and asked.startswith("/") and not asked.startswith(("//", "/\\")):
        return asked
    return url_for("orders.home")
