"""Who may call what, for every route there is, asked with real requests (INTERFACES §4; SEC-02,
SEC-03, SEC-16; ASVS 4.1). The rules stand in authorisation.txt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from app.api import tokens
from app.runtime import settings
from app.services import users
from tests.factories import make_user

TABLE = Path(__file__).with_name("authorisation.txt")
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
#: who gets in by which rule; everybody else is refused
LETS_IN = {
    "anyone": {"nobody", "staff page", "admin page", "staff token", "admin token", "metrics token"},
    "page staff": {"staff page", "admin page"},
    "page admin": {"admin page"},
    "token staff": {"staff token", "admin token"},
    "token admin": {"admin token"},
    "metrics": {"admin token", "metrics token"},
    "proof": {"channel"},
}
#: who need not ask at pages (True), and who not elsewhere: the other one with such means does
UNASKED = {True: {"staff token", "admin token", "metrics token"}, False: {"staff page"}}
#: pages that answer with the way to sign in, because they are about signing in
BACK_TO_THE_SIGN_IN = {"POST /logout", "GET /login/code", "POST /login/code"}
#: what stands in an address where no UUID does
PARTS = {"filename": "app.css", "day": "2026-03-10", "token": "t" * 43, "rest": "nowhere"}
METRICS_TOKEN = "a-token-for-prometheus"
CSRF = "the-token-of-this-browser-session"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody with the means to be let in that they have, and no others."""

    name: str
    client: FlaskClient
    headers: Mapping[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, *, page: bool) -> tuple[int, str]:
        """The status of the answer, and where it leads."""
        headers = {**self.headers, "X-CSRF-Token": CSRF} if page else self.headers
        body: dict[str, str] | None = None if page or method == "GET" else {}
        answer = self.client.open(path, method=method, headers=headers, json=body)
        answer.close()
        return answer.status_code, answer.headers.get("Location", "")


@cache
def table() -> dict[str, str]:
    """The rule of each "METHOD /address"."""
    found: dict[str, str] = {}
    for line in TABLE.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        methods, rule, who = line.split(maxsplit=2)
        for method in methods.split(","):
            where = f"{method} {rule}"
            assert who in LETS_IN, f"{where}: no such rule as {who!r}"
            assert where not in found, f"{where} stands there twice"
            found[where] = who
    return found


def routes(app: Flask) -> list[tuple[str, Rule]]:
    """Every method of every rule; the way out comes last."""
    found = [
        (method, rule)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]
    return sorted(found, key=lambda each: each[1].endpoint == "sessions.sign_out")


def address(rule: Rule) -> str:
    values = {name: PARTS.get(name) or uuid4() for name in rule.arguments}
    built = rule.build(values)
    assert built is not None, rule
    return built[1]


def is_page(app: Flask, rule: Rule) -> bool:
    return rule.endpoint.split(".")[0] in app.extensions["pages"]


def in_browser(app: Flask, role: str | None) -> FlaskClient:
    """A browser with a session of ours; signed in when there is a role."""
    client = app.test_client()
    with client.session_transaction() as session:
        session["csrf"] = CSRF
        if role is not None:
            session["token"] = users.start_session(make_user(role).id, None, None)
    return client


def with_token(role: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.issue(make_user(role))}"}


VISITORS: dict[str, Callable[[Flask], Visitor]] = {
    "nobody": lambda app: Visitor("nobody", in_browser(app, None)),
    "staff page": lambda app: Visitor("staff page", in_browser(app, "staff")),
    "admin page": lambda app: Visitor("admin page", in_browser(app, "admin")),
    "staff token": lambda app: Visitor("staff token", in_browser(app, None), with_token("staff")),
    "admin token": lambda app: Visitor("admin token", in_browser(app, None), with_token("admin")),
    "metrics token": lambda app: Visitor(
        "metrics token", in_browser(app, None), {"Authorization": f"Bearer {METRICS_TOKEN}"}
    ),
}


def expected(who: str, visitor: str) -> str:
    """in | sign in | 401 | 403"""
    if visitor in LETS_IN[who]:
        return "in"
    kind = who.split()[0]
    # Known, and not the one it takes: 403. Everybody else is unknown at this door.
    known = {"page": {"staff page"}, "token": {"staff token"}, "metrics": {"staff token"}}
    if visitor in known.get(kind, set()):
        return "403"
    return "sign in" if kind == "page" else "401"


def seen(status: int, location: str, where: str) -> str:
    if status in (401, 403):
        return str(status)
    if status == 303 and location.startswith("/login") and where not in BACK_TO_THE_SIGN_IN:
        return "sign in"
    return "in" if status != 500 else "500"


def test_every_route_has_a_rule_and_every_rule_a_route(app: Flask) -> None:
    there = {f"{method} {rule.rule}" for method, rule in routes(app)}
    assert {where.split()[0] for where in there} <= METHODS
    assert sorted(there - set(table())) == [], f"no rule in {TABLE.name}: say who may call these"
    assert sorted(set(table()) - there) == [], f"rules in {TABLE.name} for routes that are gone"


@pytest.mark.parametrize("name", VISITORS)
def test_the_rules_hold(app: Flask, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        app.extensions, "settings", replace(settings(), metrics_token=METRICS_TOKEN)
    )
    visitor = VISITORS[name](app)
    wrong = []
    for method, rule in routes(app):
        where = f"{method} {rule.rule}"
        if (who := table().get(where)) is None:
            continue  # named by the test above
        if name in UNASKED[is_page(app, rule)]:
            continue
        status, location = visitor.ask(method, address(rule), page=is_page(app, rule))
        wanted, found = expected(who, name), seen(status, location, where)
        if found != wanted:
            wrong.append(f"{where}: {name} should be told {wanted!r} ({who}) and got {status}")
    assert wrong == []


def test_a_bearer_token_opens_no_page(app: Flask) -> None:
    for path in ("/", "/reservations", "/settings/users"):
        answer = app.test_client().get(path, headers=with_token("admin"))
        assert answer.location.startswith("/login")


def test_the_proof_of_a_channel_opens_its_webhook(app: Flask) -> None:
    """The other visitors were refused there; how each proof is checked is tests/api/test_webhooks
    and test_beds24_webhook."""
    secret = settings().stays_webhook_secret
    body = {"action": "reservation.modified", "_dt": "2026-03-10T12:00:00Z", "payload": {}}
    answer = app.test_client().post(f"/api/webhooks/stays/{secret}", json=body)
    assert answer.status_code not in (401, 403)
    proofs = {where for where, who in table().items() if who == "proof"}
    assert proofs == {
        "POST /api/webhooks/stays/<token>",
        "POST /api/webhooks/stays/reservation",
        "POST /api/integrations/beds24/webhook",
    }


def test_every_change_on_a_page_needs_the_csrf_token(app: Flask) -> None:
    """Each unsafe route of each page, by somebody who may do it (ASVS 4.2.2)."""
    client = in_browser(app, "admin")
    asked, let_through = 0, []
    for method, rule in routes(app):
        if method == "GET" or not is_page(app, rule):
            continue
        asked += 1
        status = client.open(address(rule), method=method).status_code
        if status != 403:
            let_through.append(f"{method} {rule.rule}: {status}")
    assert asked > 50
    assert let_through == []
