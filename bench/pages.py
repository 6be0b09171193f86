"""The reservations page over 100,000 stays: server time, and the number of SQL statements.

Floor: an empty page rendered by the same stack, sign-in and layout included.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench import visits
from bench.house import House

FULL = 100_000
PAGES = {
    "reservations_page_100k": "/reservations",
    "reservations_page_100k_rows_100": "/reservations?limit=100",
    "reservations_page_100k_deep": "/reservations?view=all&limit=100&page=200",
    "reservations_page_100k_search": "/reservations?view=all&q=ana&limit=50",
}


def run(house: House) -> Iterator[dict[str, Any]]:
    count = house.rows(FULL)
    house.empty()
    house.furnish()
    fill(house, count)
    yield from visits.measure(house, PAGES, "reservations_page_100k_statements", count)


def fill(house: House, count: int) -> None:
    """Stays of three years, each with its planned orders; a tenth with a PIN in some state."""
    with house.connect() as connection:
        connection.execute(
            """
            INSERT INTO reservations (property_id, accommodation_id, source, channel, external_id,
                external_code, status, guest_name, guest_email, check_in_at, check_out_at,
                check_in_on, check_out_on, adults, amount, currency, search_text)
            SELECT a.property_id, a.id, 'stays', 'stays', 'B' || n, 'B' || n,
                (ARRAY['confirmed','confirmed','confirmed','cancelled','checked_out'])[1 + n %% 5],
                (ARRAY['Ana Souza','João Araújo','Zoë Berg'])[1 + n %% 3], 'g' || n || '@e.org',
                d + interval '18 hours', d + interval '2 days 14 hours', d, d + 2, 2, 500, 'BRL',
                (ARRAY['ana souza','joao araujo','zoe berg'])[1 + n %% 3] || ' b' || n
            FROM generate_series(1, %s) AS n
            JOIN accommodations a ON a.number = (n %% 500)::text
            CROSS JOIN LATERAL (SELECT current_date - 500 + (n / 500) * 5 AS d) AS days
            """,
            [count],
        )
        connection.execute(
            """
            INSERT INTO pin_jobs (reservation_id, kind, job_id, run_at, next_attempt_at, valid_from,
                                  expires_at, status)
            SELECT r.id, k.kind, k.prefix || r.id, r.check_in_at - interval '2 hours', NULL,
                   r.check_in_at - interval '2 hours', r.check_out_at + interval '1 day', 'done'
            FROM reservations r
            CROSS JOIN (VALUES ('generate', 'gen-'), ('revoke', 'rev-')) AS k(kind, prefix)
            """
        )
        connection.execute(
            """
            INSERT INTO credentials (reservation_id, lock_id, pin_last2, pin_fingerprint, state,
                                     valid_from, expires_at, vendor_name, revoke_reason)
            SELECT r.id, m.lock_id, '17', r.id::text, 'revoked', r.check_in_at,
                   r.check_out_at + interval '1 day', 'TK-' || r.external_id,
                   'window_over'
            FROM reservations r JOIN lock_mappings m ON m.accommodation_id = r.accommodation_id
            WHERE right(r.external_id, 1) = '0'
            """
        )
        connection.execute("VACUUM ANALYZE")
