"""The numbers, for Prometheus and for a dashboard (MON-01…08)."""

from __future__ import annotations

import hmac

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from app.api import problems, serializers, tokens
from app.domain.exposition import CONTENT_TYPE
from app.errors import Forbidden
from app.runtime import settings
from app.services import metric_summary, metrics

bp = Blueprint("metrics", __name__)
problems.install(bp)
#: below /api/admin, for admins
summaries = Blueprint("metric_summaries", __name__, url_prefix="/metrics")


@bp.get("/metrics")
def scrape() -> Response:
    """Everything we publish, in Prometheus' text format; for an admin or the METRICS_TOKEN."""
    if not _has_metrics_token() and not tokens.bearer().is_admin:
        raise Forbidden("this is for admins")
    return Response(metrics.scrape(), content_type=CONTENT_TYPE)


@summaries.get("/summary")
def summary() -> ResponseReturnValue:
    """How things stand, and how the last hour and the last 24 hours went."""
    found = metric_summary.summary()
    return jsonify(found | {"generated_at": serializers.instant(found["generated_at"])})


def _has_metrics_token() -> bool:
    wanted = settings().metrics_token
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if wanted is None or scheme.lower() != "bearer":
        return False
    # As bytes: a header may hold what is not ASCII, which a comparison of texts refuses.
    return hmac.compare_digest(given.strip().encode("utf-8", "replace"), wanted.encode())
