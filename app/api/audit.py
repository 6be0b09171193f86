"""The audit log: who did what, to which thing, from where (INTERFACES §5)."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from app.api import serializers
from app.models import AuditEntry
from app.services import audit_lists
from app.services.audit_lists import AuditFilter

bp = Blueprint("audit", __name__, url_prefix="/audit")


@bp.get("")
def index() -> ResponseReturnValue:
    """A page of entries, newest first; filters `actor,action,entity,entity_id,from,to,q`."""
    page = audit_lists.search(AuditFilter.from_args(request.args))
    return serializers.listing("audit", page, _entry)


@bp.get("/<uuid:entry_id>")
def show(entry_id: UUID) -> ResponseReturnValue:
    return jsonify(_entry(audit_lists.get(entry_id)))


def _entry(row: AuditEntry) -> serializers.Json:
    return {
        "id": str(row.id),
        "at": serializers.instant(row.at),
        "actor": row.actor,
        "action": row.action,
        "entity": row.entity,
        "entity_id": row.entity_id,
        "before": row.before,
        "after": row.after,
        "ip": row.ip,
    }
