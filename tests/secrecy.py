"""Reading everything a running Turnkey says and keeps, in search of what must not be there."""

from __future__ import annotations

import base64
import itertools
import logging
import re
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from app import logs
from app.api import tokens
from app.extensions import Base, db
from app.models import User


class Search(Protocol):
    """Something that knows what it looks for."""

    def in_text(self, where: str, *texts: object) -> list[str]:
        """What was found, named by `where`; empty when nothing was."""
        ...


def spaced(characters: str) -> str:
    """A pattern of characters as a person could read them: whole, or in groups."""
    between = r"(?:[\s.,\-\u00a0\u202f]|<[^>]{1,40}>|&nbsp;){0,2}"
    return between.join(re.escape(each) for each in characters)


@contextmanager
def loudly(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Everything is logged, as LOG_LEVEL=DEBUG has it, to where stdout leads now."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure(level="DEBUG", fmt="json")
    root.addHandler(caplog.handler)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def in_log(search: Search, said: Any, caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was written (`capsys.readouterr()`), and every record with all that hangs on it."""
    records = [vars(record) for record in caplog.records]
    return search.in_text("log", said.out, said.err, caplog.text, *records)


def every_get(app: Flask, known: Mapping[str, object]) -> list[str]:
    """The address of every page and every JSON answer that can be read; `known` names the values
    of the routes' variables, several of one in a list."""
    adapter = app.url_map.bind("localhost")
    found = []
    for rule in app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.endpoint in ("static",):
            continue
        choices = []
        for name, converter in rule._converters.items():
            made_up = uuid4() if converter.__class__.__name__ == "UUIDConverter" else "x"
            value = known.get(name) or made_up
            values = value if isinstance(value, list) else [value]
            choices.append([(name, each) for each in values])
        found += [
            adapter.build(rule.endpoint, dict(chosen), method="GET")
            for chosen in itertools.product(*choices)
        ]
    return sorted(set(found))


def opened(cookie: str) -> str:
    """What a signed cookie holds, readable by whoever has it."""
    body = cookie.lstrip(".").split(".")[0]
    raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    return (zlib.decompress(raw) if cookie.startswith(".") else raw).decode()


def cookies(client: FlaskClient) -> str:
    """What the browser keeps, readable."""
    cookie = client.get_cookie("turnkey")
    assert cookie is not None
    return opened(cookie.value)


def walk(
    app: Flask,
    search: Search,
    visitors: Mapping[str, FlaskClient],
    known: Mapping[str, object],
    people: Mapping[str, User],
) -> tuple[list[str], int]:
    """Read everything as everybody, pages that answer also as fragments; what was seen, and how
    many answers there were."""
    leaks: list[str] = []
    answered = 0
    for role, client in visitors.items():
        bearer = {"Authorization": f"Bearer {tokens.issue(people[role])}"}
        for path in every_get(app, known):
            for headers in (bearer, bearer | {"HX-Request": "true"}):
                answer = client.get(path, headers=headers)
                assert answer.status_code < 500, path
                answered += answer.status_code == 200
                leaks += search.in_text(f"{role} {path}", answer.text, answer.headers)
                if answer.is_json or answer.status_code != 200:
                    break  # there are no fragments of it
        leaks += search.in_text(f"cookie of {role}", cookies(client))
    return leaks, answered


def in_database(search: Search, but: Collection[tuple[str, str]] = ()) -> list[str]:
    """Every value of every column, but for those of the columns named."""
    leaks: list[str] = []
    with db.engine.connect() as connection:
        names = connection.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        ).scalars()
        tables = sorted(names)
        assert {table.name for table in Base.metadata.sorted_tables} <= set(tables)
        for table in tables:
            for row in connection.execute(text(f'SELECT * FROM "{table}"')).mappings():
                for column, value in row.items():
                    if (table, column) not in but:
                        leaks += search.in_text(f"{table}.{column}", value)
    return leaks


def in_redis(search: Search, redis: Any) -> tuple[list[str], int]:
    """Every key, name and value, job data unpacked; what was seen, and how many keys there are."""
    leaks: list[str] = []
    keys = list(redis.scan_iter())
    for key in keys:
        for value in [key, *_values(redis, key)]:
            plain = [value.decode("latin-1")]
            if value.startswith(b"\x78"):
                plain.append(zlib.decompress(value).decode("latin-1"))
            leaks += search.in_text(f"redis {key!r}", *plain)
    return leaks, len(keys)


def _values(redis: Any, key: bytes) -> Sequence[bytes]:
    kind = redis.type(key)
    if kind == b"string":
        return [redis.get(key)]
    if kind == b"hash":
        return [part for pair in redis.hgetall(key).items() for part in pair]
    if kind == b"list":
        return list(redis.lrange(key, 0, -1))
    if kind == b"set":
        return list(redis.smembers(key))
    if kind == b"zset":
        return list(redis.zrange(key, 0, -1))
    raise AssertionError(f"{key!r} is a {kind!r}, which nobody reads")
