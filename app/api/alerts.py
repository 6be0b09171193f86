"""Alerts over JSON: what a person must know, who is on it, and whether telling works."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from app.api import serializers
from app.api.serializers import Json, instant
from app.api.tokens import actor
from app.models import AlertNotice
from app.services import alert_lists, alert_sending, alerts
from app.services.alert_lists import AlertRow
from app.services.alert_sending import Trial

bp = Blueprint("alerts", __name__, url_prefix="/alerts")


@bp.get("")
def index() -> ResponseReturnValue:
    """Alerts in any state, newest first."""
    return serializers.listing("alerts", alert_lists.search(request.args), _alert)


@bp.get("/<uuid:alert_id>")
def show(alert_id: UUID) -> ResponseReturnValue:
    return jsonify(_alert(alert_lists.get(alert_id)))


@bp.post("/<uuid:alert_id>/acknowledge")
def acknowledge(alert_id: UUID) -> ResponseReturnValue:
    """Somebody is on it; saying so again changes nothing. 409 when it is over."""
    alerts.acknowledge(alert_id, actor=actor())
    return jsonify(_alert(alert_lists.get(alert_id)))


@bp.post("/test")
def test() -> ResponseReturnValue:
    """Send a test by every way that is configured, now; 200 with what came of each."""
    return jsonify(ways=[_trial(alert_sending.test(way)) for way in alert_sending.WAYS])


def _alert(row: AlertRow) -> Json:
    alert = row.alert
    return {
        "id": str(alert.id),
        "kind": alert.kind,
        "subject": alert.subject,
        "severity": alert.severity,
        "title": alert.title,
        "what_to_do": alert.what_to_do,
        "status": alert.status,
        "opened_at": instant(alert.opened_at),
        "acknowledged_at": instant(alert.acknowledged_at),
        "acknowledged_by": alert.acknowledged_by,
        "escalated_at": instant(alert.escalated_at),
        "resolved_at": instant(alert.resolved_at),
        "path": row.place,
        "notices": [_notice(each) for each in row.notices],
    }


def _notice(row: AlertNotice) -> Json:
    return {
        "way": row.way,
        "reason": row.reason,
        "status": row.status,
        "attempts": row.attempts,
        "sent_at": instant(row.sent_at),
        "next_attempt_at": instant(row.next_attempt_at),
        "last_error": row.last_error,
    }


def _trial(trial: Trial) -> Json:
    return {
        "way": trial.way,
        "configured": trial.configured,
        "ok": trial.ok,
        "error": trial.error,
        "detail": trial.detail,
    }
