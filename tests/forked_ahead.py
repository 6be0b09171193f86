"""What `tests.forked` has its server do once, so that no child does it again: build an app."""

from __future__ import annotations

import tempfile
from pathlib import Path

from sqlalchemy.orm import configure_mappers

from app import config
from app.factory import create_app
from tests import thrift

NOWHERE = {"DATABASE_URL": "postgresql://127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}

thrift.share_compiled_routes()
with tempfile.TemporaryDirectory() as var:
    create_app(config.load(NOWHERE, var=Path(var)), testing=True)
configure_mappers()
