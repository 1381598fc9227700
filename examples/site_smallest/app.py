"""The smallest site with an assistant: three lines more than without one.

Start it with ``flask --app app run`` in this folder. Everybody who comes has conversations of their own.
"""

import os
import secrets

from flask import Flask, render_template

from flowrunner import FlowRunner
from flowrunner.integrations.identity import visitors

app = Flask(__name__)
# Without one the cookies of visitors hold until the next start, and in one process: set a random one where it serves.
app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_hex()
FlowRunner(app, url_prefix="/assistant", flows_dir="flows", identity=visitors())


@app.get("/")
def home():
    return render_template("home.html")
