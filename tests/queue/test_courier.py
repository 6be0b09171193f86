"""Orders that a thread of the process sends, together with what else has come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from flask import Flask
from rq import Queue

from app import config
from app.factory import create_app
from app.queue import client, courier
from app.queue.client import Alarm
from app.transaction import transaction
from tests.queue.conftest import wait_for


def outside_of_tests(
    make_settings: Callable[..., config.Settings], database: str, redis_url: str
) -> Flask:
    return create_app(make_settings(DATABASE_URL=database, REDIS_URL=redis_url))


def test_they_reach_the_queue_after_the_commit(
    make_settings: Callable[..., config.Settings], database: str, redis_url: str, redis: Any
) -> None:
    queue = Queue("pins", connection=redis)
    stays = [uuid4() for _ in range(30)]
    with outside_of_tests(make_settings, database, redis_url).app_context():
        with transaction():
            client.enqueue_soon(Alarm("credentials.generate", stays[0]))
            assert queue.count == 0
        for stay in stays[1:]:
            client.enqueue_soon(Alarm("credentials.generate", stay))
        wait_for(lambda: queue.count == len(stays))
    assert set(queue.job_ids) == {f"gen-{stay}" for stay in stays}


def test_what_waits_is_sent_at_the_end_of_the_process(app: Flask) -> None:
    sent: list[Alarm] = []
    waiting = courier.Courier.__new__(courier.Courier)
    waiting.app, waiting.send, waiting.waiting = app, sent.extend, courier.SimpleQueue()
    alarm = Alarm("credentials.generate", uuid4())
    waiting.waiting.put(alarm)
    waiting.flush()
    assert sent == [alarm]


def test_without_redis_nothing_fails(
    make_settings: Callable[..., config.Settings], database: str
) -> None:
    app = outside_of_tests(make_settings, database, "redis://127.0.0.1:9/0")
    with app.app_context():
        client.enqueue_soon(Alarm("credentials.generate", uuid4()))
        (sender,) = [c for (_, key), c in courier._couriers.items() if key == id(app)]
        wait_for(lambda: sender.waiting.empty())
        assert sender.thread.is_alive()


def test_an_error_costs_its_own_orders_only(app: Flask) -> None:
    sent: list[Alarm] = []

    def send(alarms: list[Alarm]) -> None:
        if not sent:
            sent.append(alarms[0])
            raise LookupError("a fault of ours")
        sent.extend(alarms)

    sender = courier.Courier(app, send)
    for number in (1, 2):
        sender.waiting.put(Alarm("credentials.generate", uuid4()))
        wait_for(lambda number=number: len(sent) == number)
    assert sender.thread.is_alive()
