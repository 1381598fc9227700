"""The shop's extensions; each belongs to no app until the factory says so."""

from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect

from flowrunner import FlowRunner
from flowrunner.integrations.identity import flask_login
from shop.components import FindOrder

db = SQLAlchemy()
login = LoginManager()
login.login_view = "accounts.login"
csrf = CSRFProtect()
migrate = Migrate()
# db is the shop's: with PostgreSQL the assistant keeps its data there too, with SQLite in a file of its own.
assistant = FlowRunner(
    url_prefix="/assistant",
    identity=flask_login(admin=lambda user: user.is_staff),
    db=db,
    flows_dir="../flows",
    plugins=[FindOrder],
)
