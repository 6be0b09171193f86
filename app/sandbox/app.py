"""The sandbox as one WSGI application: create_sandbox() for tests, create_app() for the runner."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, Response, request

from app import clock as product_clock
from app.sandbox import beds24, beds24_demo, control_api, demo, pages, stays, tuya
from app.sandbox.context import Sandbox
from app.sandbox.credentials import Keys, load_keys
from app.sandbox.store import Store
from app.sandbox.webhooks import WebhookSender

VENDORS = ("stays", "beds24", "tuya")
POLICY = "default-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"


def create_sandbox(
    state_dir: Path,
    *,
    keys: Keys | None = None,
    clock: Callable[[], datetime] = product_clock.utcnow,
    target: str | None = None,
    dialect: str = "simple",
    with_demo: bool = True,
) -> Flask:
    """The sandbox with its state in `state_dir`.

    `target` is the product's base URL, to which webhooks go; without one they are only recorded.
    The parts are in `app.extensions["sandbox"]`; nothing runs by itself until an
    `engine.Ticker` and `sandbox.webhooks.start()` are started.
    """
    store = Store(state_dir)
    keys = keys or load_keys(state_dir.parent)
    sandbox = Sandbox(keys, store, clock, WebhookSender(store, keys, target, dialect))
    if with_demo:
        _bring_to_today(sandbox)
    app = Flask(
        "app.sandbox",
        root_path=str(Path(__file__).parent),
        template_folder="templates",
        static_folder="static",
    )
    app.extensions["sandbox"] = sandbox
    app.json.sort_keys = False  # type: ignore[attr-defined]
    for part in (stays, beds24, tuya, control_api, pages):
        app.register_blueprint(part.blueprint(sandbox))
    app.before_request(_refuse_other_sites)
    app.after_request(_protect)
    return app


def _bring_to_today(sandbox: Sandbox) -> None:
    now = sandbox.clock()
    fresh = demo.build(now)
    with sandbox.store.open() as world:
        if not world.demo_day:
            sandbox.store.replace(fresh)
        elif world.demo_day != fresh.demo_day:
            demo.roll_forward(world, fresh)
            beds24_demo.roll_forward(world, now.timestamp(), now.date())
        elif not world.beds24.properties:  # kept since before the sandbox had a Beds24
            beds24_demo.add(world, now.timestamp(), now.date())


def _refuse_other_sites() -> Response | None:
    """A page elsewhere on the web must not be able to work the sandbox's switches."""
    if request.method in ("GET", "HEAD") or request.blueprint in VENDORS:
        return None
    origin = request.headers.get("Origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.host
    if foreign or request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        return Response("refused: the request comes from another site", 403, mimetype="text/plain")
    return None


def _protect(response: Response) -> Response:
    if request.blueprint == "pages" or response.mimetype == "text/html":
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
