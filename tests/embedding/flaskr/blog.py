"""Posts: everybody reads them, their authors change them."""

from flask import Blueprint, abort, flash, g, redirect, render_template, request, url_for

from .accounts import login_required
from .database import get_db

bp = Blueprint("blog", __name__)

_POSTS = "SELECT p.id, title, body, created, author_id, name FROM post p JOIN person a ON p.author_id = a.id"


@bp.route("/")
def index():
    posts = get_db().execute(f"{_POSTS} ORDER BY p.id DESC").fetchall()
    return render_template("index.html", posts=posts)


@bp.route("/create", methods=("GET", "POST"))
@login_required
def create():
    if request.method == "POST" and _has_title():
        statement = "INSERT INTO post (title, body, author_id) VALUES (?, ?, ?)"
        get_db().execute(statement, (request.form["title"], request.form["body"], g.person["id"]))
        get_db().commit()
        return redirect(url_for("blog.index"))
    return render_template("edit.html", post=None)


@bp.route("/<int:number>/update", methods=("GET", "POST"))
@login_required
def update(number):
    post = get_post(number)
    if request.method == "POST" and _has_title():
        statement = "UPDATE post SET title = ?, body = ? WHERE id = ?"
        get_db().execute(statement, (request.form["title"], request.form["body"], number))
        get_db().commit()
        return redirect(url_for("blog.index"))
    return render_template("edit.html", post=post)


@bp.post("/<int:number>/delete")
@login_required
def delete(number):
    get_post(number)
    get_db().execute("DELETE FROM post WHERE id = ?", (number,))
    get_db().commit()
    return redirect(url_for("blog.index"))


def get_post(number):
    """Return a post of the person who is logged in."""
    post = get_db().execute(f"{_POSTS} WHERE p.id = ?", (number,)).fetchone()
    if post is None:
        abort(404)
    if post["author_id"] != g.person["id"]:
        abort(403)
    return post


def _has_title():
    if request.form["title"]:
        return True
    flash("A title is needed.")
    return False
