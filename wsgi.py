"""The WSGI app for gunicorn: ``gunicorn wsgi:app``. API keys are wanted unless FLOWRUNNER_AUTH=none."""

from flowrunner.app import create_app

app = create_app()
