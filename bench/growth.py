"""How cost grows with what is stored: the same house with 1,000, 10,000 and 100,000 stays.

Its present is the same each time; only the years behind it grow. The floor of the 10,000 and the
100,000 is what the same costs at 1,000, so that `ratio` is the growth.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from itertools import count as counter
from typing import Any

from bench import years
from bench.house import House, percentile, result, seconds
from bench.stand import Stand
from bench.visits import counted, signed_in

SIZES = {"1k": 1_000, "10k": 10_000, "100k": 100_000}
#: the better half of two rounds counts: what else the machine does is not growth
ROUNDS, VISITS = 2, 25
CHANGED = 20  # bookings in the answer of a 30-minute run
BROKEN = 6  # rooms of 120

Work = Callable[[], None]


def run(house: House) -> Iterator[dict[str, Any]]:
    before: dict[str, float] = {}
    for size, full in SIZES.items():
        count = house.rows(full)
        years.fill(house, count)
        for name, work, prepare in _works(house, count):
            taken, statements, blocks = _measure(house, work, prepare)
            for key, value, unit in (
                (f"growth_{name}", taken, "ms p95"),
                (f"growth_{name}_statements", statements, "statements"),
                (f"growth_{name}_blocks", blocks, "blocks"),
            ):
                first = before.setdefault(key, value)
                floor = None if size == "1k" else first
                yield result(f"{key}_{size}", value, unit, floor, count)


def _measure(house: House, work: Work, prepare: Work | None) -> tuple[float, float, float]:
    """Milliseconds; the statements of one call, and the blocks of tables and indexes it looks at,
    which do not depend on what else the machine does."""
    from sqlalchemy import event

    from app.extensions import db

    def once() -> float:
        if prepare is not None:
            prepare()
        return seconds(work) * 1000

    once()
    gc.collect()
    with house.app.app_context():
        if prepare is not None:
            prepare()
        idle = _blocks(house)
        before = _blocks(house)
        idle = before - idle  # what asking costs
        with counted(event, db.engine) as statements:
            work()
        blocks = _blocks(house) - before - idle
    rounds = [percentile([once() for _ in range(VISITS)], 95) for _ in range(ROUNDS)]
    return min(rounds), float(len(statements)), float(blocks)


def _blocks(house: House) -> int:
    """Looked at so far by the app's connections, which tell now instead of in a second."""
    from sqlalchemy import text

    from app.extensions import db

    with ExitStack() as held:
        for _ in range(db.engine.pool.checkedin() or 1):  # type: ignore[attr-defined]
            connection = held.enter_context(db.engine.connect())
            connection.execute(text("SELECT pg_stat_force_next_flush()"))
            connection.commit()
    with house.connect() as own:
        row = own.execute(
            "SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    return int(row[0]) if row else 0


def _works(house: House, count: int) -> Iterator[tuple[str, Work, Work | None]]:
    """Name, what is measured, and what has to happen before each time."""
    visit, call = _doors(house)
    stay = _one(
        house, "SELECT id FROM reservations WHERE status = 'checked_in' ORDER BY id LIMIT 1"
    )
    room = _one(house, "SELECT id FROM accommodations WHERE number = '7'")
    yield "reservations_page", partial(visit, "/reservations"), None
    yield "reservations_search", partial(visit, "/reservations?view=all&q=ana"), None
    yield "reservations_search_one", partial(visit, "/reservations?view=all&q=guest77"), None
    yield "reservations_past", partial(visit, "/reservations?view=past"), None
    yield "today_page", partial(visit, "/"), None
    yield "room_board", partial(visit, "/rooms"), None
    yield "room_page", partial(visit, f"/accommodations/{room}"), None
    yield "stay_page", partial(visit, f"/reservations/{stay}"), None
    yield "events_page", partial(visit, "/events"), None
    yield "events_all", partial(visit, "/events?status=any&limit=50"), None
    yield "audit_page", partial(visit, "/audit"), None
    yield "reservations_api", partial(call, "/api/admin/reservations?limit=50"), None
    yield "metrics_scrape", partial(call, "/metrics"), _forget_metrics
    yield from _jobs(house)
    yield "desk_booking", _desk(house), None
    with _Changes(house, count) as changes:
        yield "reconcile_20_changed", changes.reconcile, changes.next


def _doors(house: House) -> tuple[Callable[[str], None], Callable[[str], None]]:
    """An admin's browser, and a program with a token."""
    from app.api import tokens
    from app.services import users

    with house.app.app_context():
        user = users.create("program@example.org", "bench-password-1", "admin")
        headers = {"Authorization": f"Bearer {tokens.issue(user)}"}
    client = signed_in(house.app)
    program = house.app.test_client()

    def ask(asked: Any, path: str, **options: Any) -> None:
        answer = asked.get(path, **options)
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status}")

    return partial(ask, client), partial(ask, program, headers=headers)


def _forget_metrics() -> None:
    from app.services import metrics

    metrics.forget()


def _jobs(house: House) -> Iterator[tuple[str, Work, Work | None]]:
    """What runs by itself, every few seconds or minutes."""
    from app import clock
    from app.services import alert_watch, credentials, maintenance, room_status

    def repair() -> None:
        if room_status.sync().fixed != BROKEN:
            raise RuntimeError(f"not {BROKEN} rooms were repaired")

    def due() -> None:
        if credentials.queue_due(clock.utcnow()) < years.DUE:
            raise RuntimeError(f"fewer than {years.DUE} orders were due")

    def inside(work: Callable[[], Any]) -> Work:
        def begun() -> None:
            with house.app.app_context():
                work()

        return begun

    yield "room_check", inside(room_status.sync), None
    yield "room_repair", inside(repair), partial(_break, house)
    yield "due_pins_sweep", inside(due), None
    yield "sweep", inside(maintenance.sweep), None
    yield "watch", inside(maintenance.watch), None
    yield "alerts", inside(alert_watch.evaluate), None


def _break(house: House) -> None:
    with house.connect() as connection:
        connection.execute(
            """
            UPDATE accommodations SET status = CASE status WHEN 'OCCUPIED' THEN 'AVAILABLE'
                                                           ELSE 'OCCUPIED' END
             WHERE id IN (SELECT id FROM accommodations ORDER BY name LIMIT %s)
            """,
            [BROKEN],
        )


def _desk(house: House) -> Work:
    """A stay sold at the desk, with a channel to be told, far enough ahead to be free."""
    from app import clock
    from app.services import direct_bookings
    from app.services.audit import Actor
    from app.services.booking_inputs import NewBooking

    kind = _one(house, "SELECT id FROM room_types ORDER BY name LIMIT 1")
    place = _one(house, "SELECT id FROM properties")
    actor, days = Actor("desk@example.org", role="staff"), counter(40)
    today = clock.utcnow().date()

    def book() -> None:
        first = today + timedelta(days=next(days))
        new = NewBooking(
            property_id=place,
            room_type_id=kind,
            check_in=first,
            check_out=first + timedelta(days=2),
            guest_name="Ana Souza",
        )
        with house.app.app_context():
            direct_bookings.create(new, actor=actor)

    return book


def _one(house: House, query: str) -> Any:
    with house.connect() as connection:
        row = connection.execute(query.encode()).fetchone()
    if row is None:
        raise RuntimeError(f"nothing found by {query}")
    return row[0]


class _Changes:
    """A 30-minute run whose answer holds bookings we have, with another telephone each time."""

    def __init__(self, house: House, count: int) -> None:
        self.house, self.stand, self.turn = house, Stand(b""), 0
        with house.connect() as connection:
            self.rows = connection.execute(
                """
                SELECT r.external_id, a.stays_id, r.check_in_on, r.check_out_on, r.guest_name
                  FROM reservations r JOIN accommodations a ON a.id = r.accommodation_id
                 WHERE r.status = 'confirmed' AND r.channel = 'stays' ORDER BY r.check_in_at DESC
                 LIMIT %s
                """,
                [CHANGED],
            ).fetchall()

    def __enter__(self) -> _Changes:
        self.url = self.stand.__enter__()
        return self

    def __exit__(self, *args: object) -> None:
        self.stand.__exit__(*args)

    def next(self) -> None:
        """Let the channel have changed every one of them again."""
        from app import clock
        from bench.house import encode

        self.turn += 1
        stamp = clock.utcnow().strftime("%Y-%m-%dT%H:%M:%SZ")
        self.stand.body = encode(
            [
                {
                    "id": external_id,
                    "accommodation_id": room,
                    "guest_name": name,
                    "guest_phone": f"+55 11 9{self.turn:07d}",
                    "status": "confirmed",
                    "check_in": first.isoformat(),
                    "check_out": last.isoformat(),
                    "amount": "500.00",
                    "currency": "BRL",
                    "updated_at": stamp,
                }
                for external_id, room, first, last, name in self.rows
            ]
        )

    def reconcile(self) -> None:
        from bench.reconcile import reconcile

        with self.house.app.app_context():
            reconcile(self.house, self.url, updated=len(self.rows))
