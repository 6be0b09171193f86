"""One unit of work, and what waits for its commit."""

from __future__ import annotations

import pytest
from flask import Flask

from app.models import Alert
from app.services import alerts
from app.transaction import after_commit, in_transaction, transaction


def _count() -> int:
    with transaction() as session:
        return session.query(Alert).count()


def _raise(session_kind: str) -> None:
    with transaction() as session:
        alerts.raise_alert(session, session_kind, "s", "info", "t", "w")


def test_inner_blocks_join_and_commit_together(app: Flask) -> None:
    with transaction():
        _raise("no_run")
        _raise("run_slow")
        assert in_transaction()
    assert not in_transaction()
    assert _count() == 2


def test_an_exception_takes_everything_back_and_drops_what_waited(app: Flask) -> None:
    rung: list[str] = []

    def work() -> None:
        with transaction():
            _raise("no_run")
            after_commit(lambda: rung.append("no"))
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        work()
    assert rung == []
    assert _count() == 0


def test_hooks_run_after_the_outermost_commit(app: Flask) -> None:
    seen: list[int] = []
    with transaction():
        with transaction():
            _raise("no_run")
            after_commit(lambda: seen.append(_count()))
        assert seen == []
    assert seen == [1]


def test_a_failing_hook_fails_nobody(app: Flask) -> None:
    rung: list[str] = []
    with transaction():
        after_commit(lambda: 1 / 0)  # type: ignore[arg-type,return-value]
        after_commit(lambda: rung.append("second"))
    assert rung == ["second"]


def test_one_alert_per_subject_until_it_is_over(app: Flask) -> None:
    for title in ("first", "second"):
        with transaction() as session:
            alerts.raise_alert(session, "pin_late", "reservation:1", "critical", title, "go")
    with transaction() as session:
        assert [alert.title for alert in alerts.open_alerts(session)] == ["second"]
        alerts.resolve(session, "pin_late", "reservation:1")
    with transaction() as session:
        assert list(alerts.open_alerts(session)) == []
        alerts.raise_alert(session, "pin_late", "reservation:1", "critical", "again", "go")
    assert _count() == 2
