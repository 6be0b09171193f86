"""The lock cloud's stand-in with many locks and a real cloud's patience: `python -m bench.vendor`.

A call takes from 150 to 300 ms, whatever it asks. Prints its address, then serves until SIGTERM.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import threading
import time
from pathlib import Path

from flask import request

from app.sandbox.app import create_sandbox
from app.sandbox.context import Sandbox
from app.sandbox.credentials import load_keys
from app.sandbox.records import Lock
from app.sandbox.server import running

SHORTEST, LONGEST = 0.15, 0.30


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.vendor", description=__doc__)
    parser.add_argument("var", type=Path)
    parser.add_argument("locks", type=int)
    options = parser.parse_args()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    keys = load_keys(options.var)
    app = create_sandbox(options.var / "sandbox", keys=keys, with_demo=False)
    sandbox: Sandbox = app.extensions["sandbox"]
    with sandbox.store.open() as world:
        for number in range(options.locks):
            world.locks[f"device-{number}"] = _lock(number)
    app.before_request(_take_time)
    with running(app) as base:
        sys.stdout.write(f"{base}\n")
        sys.stdout.flush()
        stop.wait()
    return 0


def _lock(number: int) -> Lock:
    return Lock(
        device_id=f"device-{number}",
        name=f"Lock {number}",
        category="ms",
        radio="zigbee",
        power="mains",
        time_zone="America/Sao_Paulo",
        property_id="bench",
        battery=90,
        pin_length=6,
        capacity=20,
        hex_case="any",
        gateway_id="gateway",
    )


def _take_time() -> None:
    if request.blueprint == "tuya":
        time.sleep(random.uniform(SHORTEST, LONGEST))


if __name__ == "__main__":
    sys.exit(main())
