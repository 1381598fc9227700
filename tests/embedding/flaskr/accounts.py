"""Registering, logging in and out."""

import functools

from flask import Blueprint, flash, g, redirect, render_template, request, session, url_for
from werkzeug.security import check_password_hash, generate_password_hash

from .database import get_db

bp = Blueprint("accounts", __name__, url_prefix="/auth")


@bp.before_app_request
def load_person():
    """Know who is logged in, in every view."""
    found = session.get("person_id")
    g.person = None if found is None else get_db().execute("SELECT * FROM person WHERE id = ?", (found,)).fetchone()


def login_required(view):
    """Send visitors to the login page."""

    @functools.wraps(view)
    def wrapped(**arguments):
        return redirect(url_for("accounts.login")) if g.person is None else view(**arguments)

    return wrapped


@bp.route("/register", methods=("GET", "POST"))
def register():
    if request.method == "POST":
        name, password, problem = request.form["name"], request.form["password"], None
        if not name or not password:
            problem = "A name and a password are needed."
        else:
            try:
                statement = "INSERT INTO person (name, password) VALUES (?, ?)"
                get_db().execute(statement, (name, generate_password_hash(password, method="pbkdf2:sha256:1")))
                get_db().commit()
            except get_db().IntegrityError:
                problem = f"{name} is registered already."
        if problem is None:
            return redirect(url_for("accounts.login"))
        flash(problem)
    return render_template("register.html")


@bp.route("/login", methods=("GET", "POST"))
def login():
    if request.method == "POST":
        statement = "SELECT * FROM person WHERE name = ?"
        person = get_db().execute(statement, (request.form["name"],)).fetchone()
        if person is not None and check_password_hash(person["password"], request.form["password"]):
            session.clear()
            session["person_id"] = person["id"]
            return redirect(url_for("index"))
        flash("Name and password do not belong together.")
    return render_template("login.html")


@bp.route("/logout")
def logout():
    session.clear()
    return redirect(url_for("index"))
