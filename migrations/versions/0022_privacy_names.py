"""Whole words only: "Ana Lima" is not named by "Joana Limaverde", nor a guest by somebody's address.

What stands before and after a word in the text of a JSON document may be an escape (`\\n`), which
ends a word although its letter looks like one's beginning.
"""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

#: whether a text holds one of the words, however it is written. Digits alone are a phone number's,
#: which may have its country's before them. The first look is cheap and hardly ever comes true.
NAMES = r"""
CREATE FUNCTION privacy_names(said text, words text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT EXISTS (
        SELECT 1 FROM (SELECT lower(each) AS word FROM unnest(words) each) w
         WHERE position(w.word IN lower(said)) > 0
           AND lower(said) ~ (
               CASE WHEN w.word ~ '^\d+$' THEN '(^|\W|\\[nrtbf]|\\u[0-9a-f]{4})\d{0,5}'
                    WHEN w.word ~ '@' THEN '(^|[^\w.%+-]|\\[nrtbf]|\\u[0-9a-f]{4})'
                    ELSE '(^|\W|\\[nrtbf]|\\u[0-9a-f]{4})' END
               || regexp_replace(w.word, '([^[:alnum:][:space:]])', '\\\1', 'g')
               || CASE WHEN w.word ~ '@' THEN '(?![\w-]|\.\w)' ELSE '(?!\w)' END))
$$;
"""

SCRUB = """
CREATE OR REPLACE FUNCTION privacy_scrub(doc jsonb, keys text[], words text[]) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
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
        IF privacy_names(doc #>> '{}', words) THEN
            RETURN to_jsonb('[removed]'::text);
        END IF;
        RETURN doc;
    ELSE
        RETURN doc;
    END CASE;
END
$$;
"""

#: as migration 0020 has it
SCRUB_BEFORE = """
CREATE OR REPLACE FUNCTION privacy_scrub(doc jsonb, keys text[], words text[]) RETURNS jsonb
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


def upgrade() -> None:
    op.execute(NAMES)
    op.execute(SCRUB)


def downgrade() -> None:
    op.execute(SCRUB_BEFORE)
    op.execute("DROP FUNCTION privacy_names(text, text[])")
