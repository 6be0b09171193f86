"""A sandbox with a clock that the test moves."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from app.sandbox.app import create_sandbox
from tests.sandbox.wire import KEYS, Clock, Cloud, start_of_test


@pytest.fixture
def clock() -> Clock:
    return Clock(start_of_test())


@pytest.fixture
def sandbox_app(tmp_path: Path, clock: Clock) -> Flask:
    app = create_sandbox(tmp_path / "sandbox", keys=KEYS, clock=clock)
    app.testing = True
    return app


@pytest.fixture
def cloud(sandbox_app: Flask, clock: Clock) -> Cloud:
    return Cloud(sandbox_app, clock)
