"""Locks: list, read, register, change, remove; what is on one, and the test of one."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from app.api import serializers
from app.api.bodies import body
from app.api.tokens import actor
from app.services import locks
from app.services.locks import LockChanges, NewLock

bp = Blueprint("locks", __name__, url_prefix="/locks")


@bp.get("")
def index() -> ResponseReturnValue:
    return serializers.listing("locks", locks.search(request.args), serializers.lock)


@bp.post("")
def create() -> ResponseReturnValue:
    return jsonify(serializers.lock(locks.create(body(NewLock), actor=actor()))), 201


@bp.get("/<uuid:lock_id>")
def show(lock_id: UUID) -> ResponseReturnValue:
    return jsonify(serializers.lock(locks.get(lock_id)))


@bp.patch("/<uuid:lock_id>")
def change(lock_id: UUID) -> ResponseReturnValue:
    return jsonify(serializers.lock(locks.change(lock_id, body(LockChanges), actor=actor())))


@bp.delete("/<uuid:lock_id>")
def delete(lock_id: UUID) -> ResponseReturnValue:
    locks.delete(lock_id, actor=actor())
    return "", 204
