"""The WSGI app for gunicorn: ``gunicorn wsgi:app``. API keys are wanted unless FLOWRUNNER_AUTH=none."""

from flowrunner.app import create_app_or_exit

app = create_app_or_exit()
