"""Redis connections: one pool per process, so that a fork never shares a socket with its parent."""

from __future__ import annotations

import os

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app import runtime

#: A page waits this long, at most, for a Redis that is away.
CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 2.0

_clients: dict[tuple[int, str, float, int], Redis] = {}


def connect(url: str, *, answer_seconds: float = ANSWER_SECONDS, retries: int = 1) -> Redis:
    """This process's client for `url` (redis://, rediss:// or unix://).

    Loops that ask again anyway take no retry: it would only double the time they need to stop.
    """
    key = (os.getpid(), url, answer_seconds, retries)
    client = _clients.get(key)
    if client is None:
        # One retry: the first command after Redis came back finds a dead socket in the pool.
        client = Redis.from_url(
            url,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=answer_seconds,
            retry=Retry(NoBackoff(), retries),
        )
        _clients[key] = client
    return client


def redis() -> Redis:
    """The client of the running app."""
    return connect(runtime.settings().redis_url)
