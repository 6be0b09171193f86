"""Brings the database up to date, and an admin and the demo into it."""

from __future__ import annotations

import argparse
import os
import sys

from app.local.engines import fill_environment

#: `bin/run` alone makes this account; elsewhere ADMIN_EMAIL must say who the first admin is.
DEFAULT_ADMIN = "admin@localhost"


def make_admin() -> str:
    """Create the first admin if there is no user yet; how to sign in, when that must be told."""
    from app.runtime import settings
    from app.services import users

    email = settings().admin_email or DEFAULT_ADMIN
    password = users.ensure_first_admin(email, settings().admin_password)
    if password is None:
        return ""
    if settings().admin_password is not None:  # it is theirs; nothing to tell
        return f"Sign in as {email} with ADMIN_PASSWORD."
    return f"Sign in as {email} with the password {password} (shown only this once)."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tell", type=int, default=1, help="descriptor to write the welcome to")
    options = parser.parse_args()
    fill_environment()

    from flask_migrate import upgrade

    from app.factory import create_app
    from app.local import demo
    from app.runtime import settings

    with create_app().app_context():
        upgrade()
        welcome = make_admin()
        if settings().sandbox:
            demo.fill_if_empty()
    with os.fdopen(options.tell, "w", closefd=options.tell > 2) as stream:
        stream.write(welcome + "\n" if welcome else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
