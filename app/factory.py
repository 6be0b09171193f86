"""Builds the web app: settings, extensions, doors, headers, errors."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable
from typing import Any

from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer
from werkzeug.middleware.proxy_fix import ProxyFix

from app import config, logs
from app.crypto import PinVault, SecretVault
from app.extensions import Base, check_idle, db, init_limiter, migrate

#: modules with a `register(app)`; the order is the order of registration
DOORS = (
    "app.web",
    "app.api",
    "app.cli",
)


class _Sessions(SecureCookieSessionInterface):
    """Flask's own, its signer made once and not for every request."""

    def __init__(self) -> None:
        self._signer: URLSafeTimedSerializer | None = None

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        if self._signer is None:
            self._signer = super().get_signing_serializer(app)
        return self._signer


class _App(Flask):
    """A Flask app that does not ask, fourteen times per request, whether a hook of it is a
    coroutine: none is."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.session_interface = _Sessions()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


def create_app(settings: config.Settings | None = None, *, testing: bool = False) -> Flask:
    """A ready Flask app. Reads the environment when no settings are given; raises SettingsError."""
    settings = settings or config.load()
    logs.configure(level=settings.log_level, fmt=settings.log_format)
    app = _App(
        "app",
        root_path=str(config.ROOT / "app"),
        template_folder="../templates",
        static_folder="../static",
    )
    app.config.update(
        TESTING=testing,
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings),
        # The prefix has the browser refuse a cookie that a neighbouring host or plain HTTP set.
        SESSION_COOKIE_NAME="__Host-turnkey" if settings.production else "turnkey",
        SESSION_COOKIE_PATH="/",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.production,
        MAX_CONTENT_LENGTH=1024 * 1024,
        MAX_FORM_MEMORY_SIZE=512 * 1024,
        MAX_FORM_PARTS=2000,
        SEND_FILE_MAX_AGE_DEFAULT=3600,
    )
    # An address has one spelling: the redirect to it would name the host that the caller named.
    app.url_map.merge_slashes = False
    app.extensions["settings"] = settings
    app.extensions["pin_vault"] = PinVault(settings.pin_encryption_keys, settings.secret_key)
    app.extensions["secret_vault"] = SecretVault(settings.pin_encryption_keys, settings.secret_key)
    db.init_app(app)
    check_idle()
    init_limiter(app, settings.redis_url)
    importlib.import_module("app.models")
    migrate.init_app(app, db, directory=str(config.ROOT / "migrations"), render_as_batch=False)
    if Base.metadata is not db.metadatas[None]:
        raise RuntimeError("models and migrations must share one metadata")
    if settings.trusted_proxies:
        # Behind a router every client has the router's address: believe what it says of them.
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    for door in DOORS:
        importlib.import_module(door).register(app)
    return app


def measure(app: Flask) -> None:
    """From now on this process counts what it does, for all of them together (docs/metrics.md)."""
    importlib.import_module("app.services.process_figures").install(app)


def settle_memory() -> None:
    """After the start of a process that answers requests: what is loaded stays, so the collector
    need not walk it again and again. Otherwise one page in twenty waits for a full collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def engine_options(settings: config.Settings) -> dict[str, Any]:
    """The connection pool: bounded, every session in UTC (PERF-07); `check_idle` sees to it that
    one that has lain idle is checked before use."""
    return {
        "pool_size": settings.db_pool_size,
        "max_overflow": settings.db_pool_size,
        "pool_recycle": 1800,
        "pool_timeout": 5,
        "hide_parameters": True,  # an error's text would carry guests and sealed PINs
        "connect_args": {
            "connect_timeout": 5,
            "application_name": "turnkey",
            "options": "-c timezone=UTC -c statement_timeout=60000 -c lock_timeout=10000 "
            "-c idle_in_transaction_session_timeout=60000",
        },
    }
