"""The same house of 120 rooms after a shorter or a longer life: what is stored grows, now does not.

A thousand stays are a month of it, a hundred thousand are nine years. Each stay has its two orders,
its event and its record, and those that have been have their revoked PIN.
"""

from __future__ import annotations

from typing import Any

import psycopg

from bench.house import House

ROOMS = 120
#: a room's stays begin this many days apart and are one night shorter
RHYTHM = 4
#: stays of each room that are still to come when the house is looked at
AHEAD = 3
#: orders for PINs that are due, and events that have failed, whatever the age of the house
DUE, FAILED = 20, 40
FIRST_NAMES = "{Ana,João,Zoë,Søren,Marta,Caio,Inês,Luís,Rosa,Hugo,Vera,Otto,Lia,Rui,Eva,Nuno}"
FOLDED = "{ana,joao,zoe,soren,marta,caio,ines,luis,rosa,hugo,vera,otto,lia,rui,eva,nuno}"


def fill(house: House, count: int) -> None:
    """The house with `count` stays, the last of them in the coming days."""
    rooms = house.rows(ROOMS)
    house.empty()
    house.furnish(rooms=rooms)
    with house.connect() as connection:
        _sell(connection)
        _stays(connection, count, rooms)
        _pins(connection)
        _history(connection)
        connection.execute("VACUUM ANALYZE")


def _sell(connection: psycopg.Connection[Any]) -> None:
    """Four room types, sold through Stays and known to Beds24."""
    connection.execute(
        """
        INSERT INTO room_types (property_id, name, total_units)
        SELECT p.id, 'Type ' || n, 9999 FROM properties p, generate_series(0, 3) AS n
        """
    )
    connection.execute(
        """
        UPDATE accommodations a SET room_type_id = k.id FROM room_types k
         WHERE k.name = 'Type ' || a.number::int % 4
        """
    )
    connection.execute(
        """
        INSERT INTO channel_properties (property_id, channel_name, channel_property_id)
        SELECT p.id, c.name, c.place
          FROM properties p, (VALUES ('stays', 'stays'), ('beds24', '51001')) AS c(name, place)
        """
    )
    connection.execute(
        """
        INSERT INTO channel_mappings (channel_property_id, mapping_type, internal_id, external_id)
        SELECT c.id, 'room_type', k.id, (610000 + row_number() OVER ())::text
          FROM channel_properties c, room_types k WHERE c.channel_name = 'beds24'
        """
    )


def _stays(connection: psycopg.Connection[Any], count: int, rooms: int) -> None:
    """One after the other in each room, from the coming days backwards."""
    connection.execute(
        """
        INSERT INTO reservations (property_id, accommodation_id, room_type_id, source, channel,
            external_id, external_code, status, guest_name, guest_email, check_in_at, check_out_at,
            check_in_on, check_out_on, adults, amount, currency, search_text, created_at,
            updated_at)
        SELECT a.property_id, a.id, a.room_type_id, 'stays', 'stays', 'B' || n, 'B' || n,
               CASE WHEN n %% 11 = 10 THEN 'cancelled'
                    WHEN d + %(nights)s <= current_date THEN 'checked_out'
                    WHEN d + interval '18 hours' <= now() THEN 'checked_in' ELSE 'confirmed' END,
               (%(names)s::text[])[1 + n %% 16] || ' Guest' || n, 'g' || n || '@example.org',
               d + interval '18 hours', d + %(nights)s + interval '14 hours', d, d + %(nights)s,
               2, 500, 'BRL', (%(folded)s::text[])[1 + n %% 16] || ' guest' || n || ' b' || n,
               d - interval '20 days', d - interval '20 days'
          FROM generate_series(0, %(count)s - 1) AS n
          JOIN accommodations a ON a.number = (n %% %(rooms)s)::text
         CROSS JOIN LATERAL (SELECT current_date + (%(ahead)s - n / %(rooms)s) * %(rhythm)s
                                    + n %% %(rhythm)s - 1 AS d) AS days
        """,
        {
            "names": FIRST_NAMES,
            "folded": FOLDED,
            "count": count,
            "rooms": rooms,
            "ahead": AHEAD,
            "rhythm": RHYTHM,
            "nights": RHYTHM - 1,
        },
    )
    connection.execute(
        """
        UPDATE accommodations a SET status = 'OCCUPIED'
          FROM reservations r WHERE r.accommodation_id = a.id AND r.status = 'checked_in'
        """
    )


def _pins(connection: psycopg.Connection[Any]) -> None:
    """Done for the past, on the locks of those in the house, ordered for those to come."""
    connection.execute(
        """
        INSERT INTO credentials (reservation_id, lock_id, pin_last2, pin_fingerprint, state,
            valid_from, expires_at, sent_from, sent_until, vendor_ref, vendor_name, sent_at,
            accepted_at, installed_at, first_installed_at, revoke_reason, revoked_at, created_at)
        SELECT r.id, m.lock_id, '17', r.id::text,
               CASE r.status WHEN 'checked_in' THEN 'installed' ELSE 'revoked' END,
               r.check_in_at, r.check_out_at, r.check_in_at, r.check_out_at, r.external_id,
               'TK-' || r.external_id, r.check_in_at - interval '2 hours',
               r.check_in_at - interval '2 hours', r.check_in_at - interval '1 hour',
               r.check_in_at - interval '1 hour',
               CASE r.status WHEN 'checked_in' THEN NULL ELSE 'window_over' END,
               CASE r.status WHEN 'checked_in' THEN NULL ELSE r.check_out_at END,
               r.check_in_at - interval '2 hours'
          FROM reservations r JOIN lock_mappings m ON m.accommodation_id = r.accommodation_id
         WHERE r.status IN ('checked_in', 'checked_out')
        """
    )
    connection.execute(
        """
        INSERT INTO pin_jobs (reservation_id, credential_id, kind, job_id, run_at, valid_from,
                              expires_at, status, next_attempt_at, finished_at)
        SELECT r.id, c.id, k.kind, k.prefix || r.id, k.at, r.check_in_at, r.check_out_at,
               CASE WHEN o.open THEN 'scheduled' WHEN r.status = 'cancelled' THEN 'cancelled'
                    ELSE 'done' END,
               CASE WHEN o.open THEN greatest(k.at, now() + interval '2 hours') END,
               CASE WHEN NOT o.open THEN k.at END
          FROM reservations r
          LEFT JOIN credentials c ON c.reservation_id = r.id
         CROSS JOIN LATERAL (VALUES ('generate', 'gen-', r.check_in_at - interval '2 hours'),
                                    ('revoke', 'rev-', r.check_out_at)) AS k(kind, prefix, at)
         CROSS JOIN LATERAL (SELECT r.status = 'confirmed'
                                 OR (r.status = 'checked_in' AND k.kind = 'revoke') AS open) AS o
        """
    )
    connection.execute(
        """
        UPDATE pin_jobs SET next_attempt_at = now() - interval '1 second'
         WHERE id IN (SELECT id FROM pin_jobs WHERE kind = 'generate' AND status = 'scheduled'
                       ORDER BY run_at DESC LIMIT %s)
        """,
        [DUE],
    )


def _history(connection: psycopg.Connection[Any]) -> None:
    """An event and a record for every stay."""
    connection.execute(
        """
        INSERT INTO channel_events (channel_property_id, direction, source, event_type, entity_type,
            entity_external_id, entity_internal_id, idempotency_key, payload, raw_body, status,
            attempts, last_error, last_error_kind, received_at, processed_at)
        SELECT c.id, 'inbound', 'stays', 'reservation.created', 'booking', r.external_id, r.id,
               'in:bench:' || r.external_id, jsonb_build_object('data', jsonb_build_object(
                   'id', r.external_id, 'note', repeat('words of a channel ', 30))),
               repeat('the body as it came ', 40),
               CASE WHEN r.failed THEN 'failed' ELSE 'done' END, r.failed::int,
               CASE WHEN r.failed THEN 'no answer in 10 s' END,
               CASE WHEN r.failed THEN 'unreachable' END, r.created_at, r.created_at
          FROM (SELECT *, row_number() OVER (ORDER BY created_at DESC) <= %s AS failed
                  FROM reservations) AS r
          JOIN channel_properties c ON c.channel_name = 'stays'
        """,
        [FAILED],
    )
    connection.execute(
        """
        INSERT INTO audit_log (at, actor, action, entity, entity_id)
        SELECT created_at, 'stays', 'create', 'reservation', id::text FROM reservations
        """
    )
    connection.execute(
        """
        INSERT INTO room_status_changes
               (accommodation_id, axis, from_status, to_status, reason, actor, reservation_id,
                created_at)
        SELECT accommodation_id, 'status', 'RESERVED', 'OCCUPIED', 'a guest moved in', 'system', id,
               check_in_at
          FROM reservations WHERE status IN ('checked_in', 'checked_out')
        """
    )
