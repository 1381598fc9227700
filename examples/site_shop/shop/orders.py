"""Orders, and questions about them: in the chat box, in a plain form, and as a stream of text."""

from flask import Blueprint, Response, redirect, render_template, url_for
from flask_login import current_user, login_required
from flask_wtf import FlaskForm
from sqlalchemy import select
from wtforms import StringField
from wtforms.validators import InputRequired

from flowrunner import current_runner

bp = Blueprint("orders", __name__)

#: The plain form and the chat box are two conversations.
FORM_SESSION = "form"


class QuestionForm(FlaskForm):
    question = StringField(validators=[InputRequired()])


@bp.get("/")
@login_required
def home():
    from shop.models import Order, db

    orders = db.session.scalars(select(Order).filter_by(customer_id=current_user.id)).all()
    asked = current_runner.memory.fetch(session_id=FORM_SESSION, limit=20)
    return render_template("home.html", orders=orders, asked=asked, form=QuestionForm())


@bp.post("/ask")
@login_required
def ask():
    form = QuestionForm()
    if form.validate_on_submit():
        current_runner.run("support", form.question.data, session_id=FORM_SESSION)
    return redirect(url_for("orders.home"))


@bp.get("/orders/<int:number>/state.txt")
@login_required
def state(number):
    return Response(current_runner.stream("support", f"Where is {number}?"), mimetype="text/plain")
