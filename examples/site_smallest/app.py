"""The smallest site with an assistant: three lines more than without one.

Start it with ``flask --app app run`` in this folder. Everybody who comes has conversations of their own.
"""

import os

from flask import Flask, render_template

from flowrunner import FlowRunner
from flowrunner.integrations.identity import visitors

app = Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY", "only for trying out")
FlowRunner(app, url_prefix="/assistant", flows_dir="flows", identity=visitors())


@app.get("/")
def home():
    return render_template("home.html")
