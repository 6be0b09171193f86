"""The WSGI app for gunicorn and `flask --app wsgi`."""

import os
import sys

if os.environ.get("APP_ENV", "").strip().lower() != "production":
    from app.local.engines import fill_environment

    fill_environment()

from app.config import SettingsError
from app.factory import create_app, measure, settle_memory

try:
    app = create_app()
except SettingsError as error:
    sys.stderr.write(f"{error}\n")
    # gunicorn's own status for "cannot boot": with any other it would try again for ever
    raise SystemExit(3) from None

measure(app)
settle_memory()
