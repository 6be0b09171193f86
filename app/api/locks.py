"""Locks: list, read, register, change, remove; what is on one, and the test of one."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from app.api import serializers
from app.api.bodies import body
from app.api.tokens import actor
from app.services import lock_contents, lock_devices, lock_tests, locks
from app.services.inputs import Input
from app.services.locks import LockChanges, NewLock

bp = Blueprint("locks", __name__, url_prefix="/locks")


class Typed(Input):
    """What the person at the door saw."""

    opened: bool


@bp.get("")
def index() -> ResponseReturnValue:
    return serializers.listing("locks", locks.search(request.args), serializers.lock)


@bp.post("")
def create() -> ResponseReturnValue:
    return jsonify(serializers.lock(locks.create(body(NewLock), actor=actor()))), 201


@bp.post("/refresh")
def refresh() -> ResponseReturnValue:
    """Read the vendor's device list: new locks, online, battery."""
    found = lock_devices.refresh(actor=actor())
    return jsonify(
        listed=found.listed,
        online=found.online,
        new=[str(lock_id) for lock_id in found.new],
        gone=[str(lock_id) for lock_id in found.gone],
        suspicious=found.suspicious,
    )


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


@bp.get("/<uuid:lock_id>/contents")
def contents(lock_id: UUID) -> ResponseReturnValue:
    """What is on the lock now, read from it, beside what we believe is on it."""
    return jsonify(serializers.lock_contents(lock_contents.contents(lock_id)))


@bp.get("/<uuid:lock_id>/tests")
def tests(lock_id: UUID) -> ResponseReturnValue:
    """The latest tests, newest first; not paged."""
    locks.get(lock_id)
    return jsonify(tests=[serializers.lock_test(test) for test in lock_tests.of_lock(lock_id)])


@bp.post("/<uuid:lock_id>/tests")
def start_test(lock_id: UUID) -> ResponseReturnValue:
    """Put a PIN on the lock for an hour; the PIN itself is shown in the browser only."""
    return jsonify(serializers.lock_test(lock_tests.start(lock_id, actor=actor()))), 201


@bp.get("/tests/<uuid:test_id>")
def show_test(test_id: UUID) -> ResponseReturnValue:
    return jsonify(serializers.lock_test(lock_tests.get(test_id)))


@bp.post("/tests/<uuid:test_id>/typed")
def typed(test_id: UUID) -> ResponseReturnValue:
    test = lock_tests.typed(test_id, opened=body(Typed).opened, actor=actor())
    return jsonify(serializers.lock_test(test))


@bp.post("/tests/<uuid:test_id>/stop")
def stop_test(test_id: UUID) -> ResponseReturnValue:
    return jsonify(serializers.lock_test(lock_tests.stop(test_id, actor=actor())))
