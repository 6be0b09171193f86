"""Commands for operators; each prints what it did and exits non-zero on failure (INTERFACES §3)."""

from __future__ import annotations

from flask import Flask


def register(app: Flask) -> None:
    """Add the commands to `flask --app wsgi`."""
