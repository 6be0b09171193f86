"""One running product for the tests that open its doors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import disks
from tests.faults.desk import Desk, within
from tests.faults.disks import Disk
from tests.local.product import READY_SECONDS, Run


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Run]:
    """`bin/run` with nothing configured, ready; stopped afterwards."""
    run = Run(tmp_path / "var")
    try:
        assert within(2 * READY_SECONDS, run.ready, every=0.2), run.said  # beside other work
        yield run
    finally:
        if run.process.poll() is None:
            run.stop()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """The disk under `cramped`."""
    with disks.under(tmp_path / "var") as disk:
        yield disk


@pytest.fixture
def cramped(disk: Disk, product: Run) -> tuple[Run, Disk]:
    """`product` on a disk that can be filled: it is there before the product is."""
    return product, disk


@pytest.fixture
def desk(product: Run) -> Iterator[Desk]:
    """A person at its desk, once the demo's bookings are in."""
    desk = Desk(product)

    def demo_is_in() -> bool:
        last = desk.api.get("/reconciliation/status").json()["data"]["lastRun"]
        return last is not None and last["status"] == "success"

    try:
        assert within(180, demo_is_in), product.said
        yield desk
    finally:
        desk.close()  # also when it failed: a socket left open fails whatever test comes next
