"""A whole product against the sandbox: pages, a worker process, a channel and locks on the wire."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet
from werkzeug.serving import make_server

from app import config
from app.config import ROOT
from app.extensions import db
from app.factory import create_app
from app.sandbox import server as sandbox_server
from app.sandbox.app import create_sandbox
from app.sandbox.context import Sandbox
from app.sandbox.credentials import Keys
from app.sandbox.records import Listing, Lock

ZONE = "America/Sao_Paulo"
#: what the channel calls its rooms, and what the electrician called the locks
ROOMS = {"EK01J": "Apartamento 101", "EK02J": "Apto 102", "EK03J": "Suíte Ipê"}
LOCKS = {"bf01": "Apto 101", "bf02": "Fechadura apartamento 102", "bf03": "Suite Ipe"}


@dataclass(frozen=True, slots=True)
class House:
    """Where to find the product and the sandbox."""

    url: str
    sandbox: str


@contextmanager
def running(database_url: str, redis_url: str, var: Path) -> Iterator[House]:
    """An empty product beside a channel with three rooms and an account with three locks."""
    keys = Keys.make()
    vendors = create_sandbox(var / "sandbox", keys=keys, with_demo=False)
    _furnish(vendors.extensions["sandbox"])
    with sandbox_server.running(vendors) as base:
        env = _environment(keys, base) | {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
        app = create_app(config.load(env, var=var), testing=True)
        web = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=web.serve_forever, daemon=True)
        thread.start()
        log = (var / "worker.log").open("wb")
        worker = subprocess.Popen(
            [sys.executable, "worker.py"],
            cwd=ROOT,
            env=_plain() | env | {"TURNKEY_VAR": str(var)},
            stdout=log,
            stderr=log,
        )
        try:
            yield House(f"http://127.0.0.1:{web.server_port}", base)
        finally:
            worker.terminate()
            worker.wait(20)
            log.close()
            web.shutdown()
            thread.join(10)
            web.server_close()
            with app.app_context():
                db.engine.dispose()


def eventually(condition: Callable[[], object], seconds: float = 40) -> None:
    """Wait until it holds; fails when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.3)


def _furnish(sandbox: Sandbox) -> None:
    with sandbox.store.open() as world:
        world.gateways["bfgate"] = ZONE
        for number, (code, name) in enumerate(ROOMS.items(), start=1):
            world.listings[code] = Listing(
                code=code,
                long_id=f"{number:024x}",
                name=name,
                property_name="Pousada Vila Jasmim",
                property_id="a" * 24,
                time_zone=ZONE,
                currency="BRL",
                check_in_time="15:00",
                check_out_time="11:00",
            )
        for device_id, name in LOCKS.items():
            world.locks[device_id] = Lock(
                device_id=device_id,
                name=name,
                category="jtmspro",
                radio="zigbee",
                power="mains",
                time_zone=ZONE,
                property_id="a" * 24,
                battery=80,
                pin_length=6,
                capacity=20,
                gateway_id="bfgate",
            )


def _environment(keys: Keys, base: str) -> dict[str, str]:
    return {
        "APP_ENV": "local",
        "SECRET_KEY": "house-secret-key-" + "x" * 32,
        "JWT_SECRET": "house-jwt-secret-" + "x" * 32,
        "PIN_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "STAYS_API_URL": f"{base}/stays",
        "STAYS_API_KEY": keys.stays_api_key,
        "STAYS_WEBHOOK_SECRET": keys.stays_webhook_secret,
        "TUYA_API_URL": f"{base}/tuya",
        "TUYA_API_REGION": "us",
        "TUYA_ACCESS_ID": keys.tuya_access_id,
        "TUYA_ACCESS_SECRET": keys.tuya_access_secret,
        "LOG_FORMAT": "json",
    }


def _plain() -> dict[str, str]:
    """This process's environment without anything that configures the product."""
    ours = ("STAYS_", "BEDS24_", "TUYA_", "ADMIN_", "SANDBOX", "DATABASE_URL", "REDIS_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
