"""What gunicorn reads by itself when it is started beside wsgi.py: ``gunicorn wsgi:app``."""

from flowrunner import serving

globals().update({name: value for name, value in vars(serving).items() if not name.startswith("_")})
