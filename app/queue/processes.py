"""What every background process needs: the app, a name, and an end when its parent ends."""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import socket
import sys
from typing import cast

from flask import Flask

from app.config import SettingsError

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def prepare_environment() -> None:
    """Away from production, point whatever is not configured at local servers."""
    if os.environ.get("APP_ENV", "").strip().lower() == "production":
        return
    # By name: the queue must not depend on the tools of a developer's machine.
    unavailable: type[Exception] = importlib.import_module("app.local.processes").LocalError
    try:
        importlib.import_module("app.local.engines").fill_environment()
    except unavailable as error:
        raise SystemExit(str(error)) from None


def load_app() -> Flask:
    """The app as the web process has it; a faulty setting ends this process with one clear text."""
    try:
        prepare_environment()
        factory = importlib.import_module("app.factory")
        app = cast(Flask, factory.create_app())
    except SettingsError as error:
        raise SystemExit(str(error)) from None
    factory.measure(app)
    return app


def process_name(role: str) -> str:
    """How this process is called among its kind."""
    return f"{role}@{socket.gethostname()}:{os.getpid()}"


def end_with_parent(parent: int) -> None:
    """Receive SIGTERM when the process `parent`, which has just forked us, ends.

    A SIGKILLed parent cannot stop its children, and one left over swallows the next job
    (DECISIONS, measured). Linux only.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(0)
