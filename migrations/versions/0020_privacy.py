"""What may be forgotten: the one way by which audit rows go, and marks on what was emptied."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

#: values under these keys, and texts that hold one of these words, become "[removed]"
SCRUB = """
CREATE FUNCTION privacy_scrub(doc jsonb, keys text[], words text[]) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    said text;
BEGIN
    CASE jsonb_typeof(doc)
    WHEN 'object' THEN
        RETURN coalesce((
            SELECT jsonb_object_agg(e.key, CASE
                       WHEN e.key = ANY (keys) AND jsonb_typeof(e.value) <> 'null'
                       THEN to_jsonb('[removed]'::text)
                       ELSE privacy_scrub(e.value, keys, words) END)
              FROM jsonb_each(doc) e), doc);
    WHEN 'array' THEN
        RETURN coalesce((
            SELECT jsonb_agg(privacy_scrub(e.value, keys, words) ORDER BY e.n)
              FROM jsonb_array_elements(doc) WITH ORDINALITY e(value, n)), doc);
    WHEN 'string' THEN
        said := lower(doc #>> '{}');
        IF EXISTS (SELECT 1 FROM unnest(words) w WHERE position(lower(w) IN said) > 0) THEN
            RETURN to_jsonb('[removed]'::text);
        END IF;
        RETURN doc;
    ELSE
        RETURN doc;
    END CASE;
END
$$;
"""

#: No row changes without one, written by the same transaction, that says so and stays for good.
APPEND_ONLY = """
CREATE OR REPLACE FUNCTION audit_log_append_only() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
    ticket text := nullif(current_setting('turnkey.audit_purge', true), '');
BEGIN
    IF TG_OP IN ('UPDATE', 'DELETE') AND ticket ~ '^[0-9a-f-]{36}$' THEN
        IF OLD.action = 'purge' OR NOT EXISTS (
           SELECT 1 FROM audit_log a
            WHERE a.id = ticket::uuid AND a.action = 'purge'
              AND a.after ->> 'transaction' = pg_current_xact_id()::text)
        THEN
            RAISE EXCEPTION 'audit_log is append-only';
        END IF;
        IF TG_OP = 'DELETE' THEN
            RETURN OLD;
        END IF;
        IF (NEW.id, NEW.at, NEW.actor, NEW.actor_id, NEW.action, NEW.entity, NEW.entity_id)
           IS NOT DISTINCT FROM
           (OLD.id, OLD.at, OLD.actor, OLD.actor_id, OLD.action, OLD.entity, OLD.entity_id)
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'audit_log is append-only';
END
$$;
"""

#: as migration 0001 has it
APPEND_ONLY_BEFORE = """
CREATE OR REPLACE FUNCTION audit_log_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('turnkey.audit_purge', true) = 'on' THEN
        RETURN COALESCE(NEW, OLD);
    END IF;
    RAISE EXCEPTION 'audit_log is append-only';
END
$$;
ALTER FUNCTION audit_log_append_only() RESET search_path;
"""

PURGE = """
CREATE FUNCTION audit_purge(
    doomed uuid[], scrubbing jsonb, keys text[], why jsonb,
    by_whom text, by_id uuid, from_ip text, moment timestamptz,
    OUT removed bigint, OUT scrubbed bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    ticket uuid := gen_random_uuid();
BEGIN
    SELECT count(*) INTO removed FROM audit_log a
     WHERE a.id = ANY (doomed) AND a.action <> 'purge';
    SELECT count(*) INTO scrubbed
      FROM jsonb_to_recordset(scrubbing) s(id uuid)
      JOIN audit_log a ON a.id = s.id AND a.action <> 'purge' AND NOT a.id = ANY (doomed);
    IF removed + scrubbed = 0 THEN
        RETURN;
    END IF;
    INSERT INTO audit_log (id, at, actor, actor_id, action, entity, after, ip)
    VALUES (ticket, moment, by_whom, by_id, 'purge', 'audit_log',
            why || jsonb_build_object('removed', removed, 'scrubbed', scrubbed,
                                      'transaction', pg_current_xact_id()::text), from_ip);
    PERFORM set_config('turnkey.audit_purge', ticket::text, true);
    DELETE FROM audit_log a WHERE a.id = ANY (doomed) AND a.action <> 'purge';
    UPDATE audit_log a
       SET before = CASE WHEN s.words IS NULL THEN a.before
                         ELSE privacy_scrub(a.before, keys, s.words) END,
           after = CASE WHEN s.words IS NULL THEN a.after
                        ELSE privacy_scrub(a.after, keys, s.words) END,
           ip = CASE WHEN coalesce(s.ip, false) THEN NULL ELSE a.ip END
      FROM jsonb_to_recordset(scrubbing) s(id uuid, words text[], ip boolean)
     WHERE a.id = s.id AND a.action <> 'purge';
    PERFORM set_config('turnkey.audit_purge', '', true);
END
$$;
REVOKE ALL ON FUNCTION audit_purge(uuid[], jsonb, text[], jsonb, text, uuid, text, timestamptz)
    FROM PUBLIC;
"""


def upgrade() -> None:
    op.add_column(
        "reservations", sa.Column("anonymised_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column(
        "channel_events", sa.Column("emptied_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.create_index(
        "ix_channel_events_to_empty",
        "channel_events",
        ["processed_at"],
        unique=False,
        postgresql_where=sa.text("emptied_at IS NULL AND processed_at IS NOT NULL"),
    )
    op.create_index(
        "ix_reservations_to_forget",
        "reservations",
        ["check_out_at"],
        unique=False,
        postgresql_where=sa.text(
            "guest_name IS NOT NULL OR guest_email IS NOT NULL OR guest_phone IS NOT NULL"
        ),
    )
    op.create_index("ix_audit_log_actor_at", "audit_log", ["actor", "at"], unique=False)
    op.execute(SCRUB)
    op.execute(APPEND_ONLY)
    op.execute(PURGE)


def downgrade() -> None:
    op.execute(
        "DROP FUNCTION audit_purge(uuid[], jsonb, text[], jsonb, text, uuid, text, timestamptz)"
    )
    op.execute(APPEND_ONLY_BEFORE)
    op.execute("DROP FUNCTION privacy_scrub(jsonb, text[], text[])")
    op.drop_index("ix_audit_log_actor_at", table_name="audit_log")
    op.drop_index("ix_reservations_to_forget", table_name="reservations")
    op.drop_index("ix_channel_events_to_empty", table_name="channel_events")
    op.drop_column("channel_events", "emptied_at")
    op.drop_column("reservations", "anonymised_at")
