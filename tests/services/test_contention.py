"""Two that lock crosswise both get through; what cannot be repeated is not."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError, OperationalError

from app.models import Accommodation
from app.services import contention
from app.transaction import transaction
from tests.factories import make_accommodation


class Chosen(Exception):
    """What the driver raises for the transaction that PostgreSQL ended."""

    sqlstate = "40P01"


def lost() -> OperationalError:
    return OperationalError("UPDATE", None, Chosen())


def test_crosswise_locks(app: Flask) -> None:
    rooms = [make_accommodation().id for _ in range(2)]
    barrier = threading.Barrier(2, timeout=20)
    tries: list[UUID] = []

    def rename(first: UUID, second: UUID) -> None:
        def work() -> None:
            tries.append(first)
            with transaction() as session:
                session.get_one(Accommodation, first, with_for_update=True).number = "7"
                session.flush()
                if len(tries) <= 2:
                    barrier.wait()
                session.get_one(Accommodation, second, with_for_update=True).name = str(first)

        with app.app_context():
            contention.patient(work)

    threads = [
        threading.Thread(target=rename, args=pair) for pair in (rooms, list(reversed(rooms)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(tries) >= 3, "one of them had to try again"
    with transaction() as session:
        names = [session.get_one(Accommodation, id_).name for id_ in rooms]
    assert names == [str(rooms[1]), str(rooms[0])]


def test_patience_ends(app: Flask) -> None:
    tries = []

    def work() -> None:
        tries.append(1)
        raise lost()

    with pytest.raises(OperationalError):
        contention.patient(work)
    assert len(tries) == contention.TRIES


def test_half_a_transaction_is_not_repeated(app: Flask) -> None:
    tries = []

    def work() -> None:
        tries.append(1)
        raise lost()

    def outer() -> None:
        with transaction():
            contention.patient(work)

    with pytest.raises(OperationalError):
        outer()
    assert len(tries) == 1


def test_other_errors_are_not_repeated(app: Flask) -> None:
    tries = []

    def work() -> None:
        tries.append(1)
        raise IntegrityError("INSERT", None, Chosen())

    with pytest.raises(IntegrityError):
        contention.patient(work)
    assert len(tries) == 1
