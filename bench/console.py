"""The events page over 100,000 events, 2,000 of them failed: server time and SQL statements.

Floor: an empty page rendered by the same stack, sign-in and layout included.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench import visits
from bench.house import House

FULL = 100_000
STAYS = 10_000
PAGES = {
    "events_page_100k": "/events",
    "events_page_100k_list": "/events?group=none",
    "events_page_100k_all": "/events?status=any&limit=50",
    "events_page_100k_deep": "/events?status=any&limit=50&page=1000",
    "events_page_100k_search": "/events?status=any&q=ana",
    "events_page_100k_id": "/events?status=any&q=B4711",
    "events_page_100k_filtered": "/events?status=any&type=booking.modified&direction=inbound",
}


def run(house: House) -> Iterator[dict[str, Any]]:
    count = house.rows(FULL)
    house.empty()
    fill(house, count)
    yield from visits.measure(house, PAGES, "events_page_100k_statements", count)


def fill(house: House, count: int) -> None:
    """Five houses on two channels; half a year of events, every fiftieth failed, by six causes."""
    with house.connect() as connection:
        connection.execute(
            """
            INSERT INTO properties (name, timezone, currency)
            SELECT 'House ' || n, 'America/Sao_Paulo', 'BRL' FROM generate_series(0, 4) AS n
            """
        )
        connection.execute(
            """
            INSERT INTO channel_properties (property_id, channel_name, channel_property_id)
            SELECT p.id, c.name, c.name || right(p.name, 1)
            FROM properties p CROSS JOIN (VALUES ('stays'), ('beds24')) AS c(name)
            """
        )
        connection.execute(
            """
            INSERT INTO accommodations (property_id, name, number)
            SELECT p.id, 'Room ' || n, n::text
            FROM properties p, generate_series(0, 99) AS n
            WHERE right(p.name, 1)::int = n %% 5
            """.replace("%%", "%").encode()
        )
        connection.execute(
            """
            INSERT INTO reservations (property_id, accommodation_id, source, channel, external_id,
                status, guest_name, check_in_at, check_out_at, check_in_on, check_out_on,
                search_text)
            SELECT a.property_id, a.id, c.name, c.name, 'B' || n, 'confirmed',
                (ARRAY['Ana Souza','João Araújo','Zoë Berg'])[1 + n %% 3],
                d + interval '18 hours', d + interval '2 days 14 hours', d, d + 2,
                (ARRAY['ana souza','joao araujo','zoe berg'])[1 + n %% 3] || ' b' || n
            FROM generate_series(1, %s) AS n
            JOIN accommodations a ON a.number = (n %% 100)::text
            CROSS JOIN LATERAL (SELECT (ARRAY['stays','beds24'])[1 + n %% 2] AS name) AS c
            CROSS JOIN LATERAL (SELECT current_date - 150 + (n / 100) * 3 AS d) AS days
            """,
            [STAYS],
        )
        connection.execute(
            """
            INSERT INTO channel_events (channel_property_id, direction, source, event_type,
                entity_type, entity_external_id, entity_internal_id, idempotency_key, payload,
                normalized_payload, raw_body, status, attempts, last_error, last_error_kind,
                received_at, processed_at)
            SELECT cp.id, CASE WHEN n %% 10 = 7 THEN 'outbound' ELSE 'inbound' END,
                r.channel,
                (ARRAY['booking.created','booking.modified','booking.cancelled','reservation.updated',
                       'reservation.created','availability.updated'])[1 + n %% 6],
                'booking', r.external_id, CASE WHEN n %% 50 <> 0 THEN r.id END, 'in:bench:' || n,
                jsonb_build_object('data', jsonb_build_object('id', r.external_id, 'note',
                    repeat('words of a channel ', 30))),
                '{"status": "confirmed"}', repeat('the body as it came ', 40),
                CASE WHEN n %% 50 = 0 THEN 'failed' WHEN n %% 97 = 0 THEN 'ignored'
                     WHEN n %% 5003 = 0 THEN 'retrying' ELSE 'done' END,
                CASE WHEN n %% 50 = 0 THEN 3 ELSE 0 END,
                CASE WHEN n %% 50 = 0 THEN (ARRAY[
                    'room 61001' || n %% 7 || ' of property 51001 is not mapped',
                    'data.check_in: expected a day', 'no answer in 10 s',
                    'an internal error (KeyError)', 'HTTP 422: booking ' || n || ' overlaps',
                    'the worker died while it had this event'])[1 + (n / 50) %% 6] END,
                CASE WHEN n %% 50 = 0 THEN (ARRAY['unmapped', 'invalid', 'unreachable', 'internal',
                    'rejected', 'worker_died'])[1 + (n / 50) %% 6] END,
                now() - n * interval '150 seconds', now() - n * interval '149 seconds'
            FROM generate_series(1, %s) AS n
            JOIN reservations r ON r.external_id = 'B' || (1 + n %% %s)
            JOIN channel_properties cp
                ON cp.property_id = r.property_id AND cp.channel_name = r.channel
            """,
            [count, STAYS],
        )
        connection.execute("VACUUM ANALYZE")
