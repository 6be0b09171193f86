"""The WSGI app for gunicorn and `flask --app wsgi`."""

import os

if os.environ.get("APP_ENV", "").strip().lower() != "production":
    from app.local.engines import fill_environment

    fill_environment()

from app.factory import create_app

app = create_app()
