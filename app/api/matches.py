"""Matches: which lock may open which accommodation, judged by their names."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from pydantic import Field

from app.api import serializers
from app.api.bodies import body
from app.api.tokens import actor
from app.services import matching
from app.services.inputs import Input
from app.services.matching import Applied, MatchArgs, Suggestion, Suggestions

bp = Blueprint("matches", __name__, url_prefix="/matches")


class NewPair(Input):
    accommodationId: UUID  # noqa: N815 (the wire's spelling)
    lockId: UUID  # noqa: N815


class AgreedPairs(Input):
    """What somebody looked at and agreed to."""

    pairs: Annotated[list[NewPair], Field(max_length=1000)]


@bp.get("/suggestions")
def index() -> ResponseReturnValue:
    """One lock per accommodation, unless `maxSuggestions` asks for more; no lock twice."""
    return _answer(matching.suggest(MatchArgs.from_args(request.args)))


@bp.get("/suggestions/<uuid:accommodation_id>")
def show(accommodation_id: UUID) -> ResponseReturnValue:
    """The five likeliest locks of one accommodation; 409 when it has one."""
    args = MatchArgs.from_args(request.args, matching.MOST_FOR_ONE)
    return _answer(matching.suggest_for(accommodation_id, args))


@bp.post("/apply")
def apply() -> ResponseReturnValue:
    """Connect the pairs one by one; each says what came of it (MATCH-04)."""
    agreed = body(AgreedPairs)
    pairs = [(pair.accommodationId, pair.lockId) for pair in agreed.pairs]
    return jsonify(results=[_applied(each) for each in matching.apply(pairs, actor=actor())])


def _answer(found: Suggestions) -> ResponseReturnValue:
    answer: serializers.Json = {
        "suggestions": [_suggestion(each) for each in found.items],
        "count": len(found.items),
        "metadata": {
            "accommodationsAnalyzed": found.accommodations,
            "locksAnalyzed": found.locks,
            "threshold": found.args.threshold,
            "maxSuggestions": found.args.most,
        },
        "timestamp": serializers.instant(found.at),
    }
    if not found.accommodations:
        answer["message"] = "every active accommodation has a lock"
    elif not found.locks:
        answer["message"] = "no lock is free"
    return jsonify(answer)


def _suggestion(each: Suggestion) -> serializers.Json:
    return {
        "accommodationId": str(each.accommodation.id),
        "accommodationName": each.accommodation.name,
        "lockId": str(each.lock.id),
        "lockName": each.lock.name,
        "score": each.score,
        "confidence": str(each.confidence),
        "reason": each.reason,
    }


def _applied(each: Applied) -> serializers.Json:
    return {
        "accommodationId": str(each.accommodation_id),
        "lockId": str(each.lock_id),
        "applied": each.applied,
        "reason": each.reason,
    }
