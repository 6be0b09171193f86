"""Pages as a signed-in person asks for them: server time, and the number of SQL statements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from bench.house import House, percentile, result, seconds

VISITS = 60


def measure(
    house: House, pages: Mapping[str, str], statements_as: str, count: int
) -> Iterator[dict[str, Any]]:
    """p95 of each page against an empty one of the same stack, sign-in and layout included; then
    the most statements that one of them takes."""
    from flask import render_template
    from sqlalchemy import event

    from app.extensions import db
    from app.factory import settle_memory

    app = house.app
    if "bench_empty" not in app.view_functions:
        app._got_first_request = False
        app.add_url_rule("/bench-empty", "bench_empty", lambda: render_template("_layout.html"))
    client = signed_in(app)

    def visit(path: str) -> float:
        def get() -> None:
            answer = client.get(path)
            if answer.status_code != 200:
                raise RuntimeError(f"{path}: {answer.status}")

        return seconds(get) * 1000

    for path in (*pages.values(), "/bench-empty"):
        visit(path)
    settle_memory()  # as wsgi.py does
    floor = percentile([visit("/bench-empty") for _ in range(VISITS)], 95)
    with app.app_context(), counted(event, db.engine) as statements:
        most = 0
        for name, path in pages.items():
            statements.clear()
            visit(path)
            most = max(most, len(statements))
            times = [visit(path) for _ in range(VISITS)]
            yield result(name, percentile(times, 95), "ms p95", floor, count)
    yield result(statements_as, most, "statements", None, count)


def signed_in(app: Flask) -> FlaskClient:
    """An administrator's browser."""
    from app.services import users

    with app.app_context():
        user = users.create("bench@example.org", "bench-password-1", "admin")
        token = users.start_session(user.id, None, None)
    client = app.test_client()
    with client.session_transaction() as session:
        session["token"] = token
    return client


def cookies(app: Flask) -> dict[str, str]:
    """The header an administrator's browser sends to any process of the house."""
    name = app.config["SESSION_COOKIE_NAME"]
    cookie = signed_in(app).get_cookie(name)
    if cookie is None:
        raise RuntimeError("nobody is signed in")
    return {"Cookie": f"{name}={cookie.value}"}


@contextmanager
def counted(event: Any, engine: Any) -> Iterator[list[str]]:
    """The statements of the block, as they are sent."""
    seen: list[str] = []

    def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)
