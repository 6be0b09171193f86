"""Peak resident memory of web, worker and clock after the work of a first run.

Limit: 150 MB each (issue of OPS); worker counts its largest process.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.house import House, result

COMMANDS = {
    "web": ["-m", "gunicorn", "--config", "gunicorn.conf.py", "--bind", "127.0.0.1:0", "wsgi:app"],
    "worker": ["worker.py"],
    "clock": ["-m", "app.queue.clock"],
}
SECONDS = 20


def run(house: House) -> Iterator[dict[str, Any]]:
    env = os.environ | house.environment
    running = {
        name: subprocess.Popen([sys.executable, *words], env=env, stdout=subprocess.DEVNULL)
        for name, words in COMMANDS.items()
    }
    try:
        time.sleep(SECONDS)
        for name, process in running.items():
            peak = max(_peak(pid) for pid in (process.pid, *_children(process.pid)))
            yield result(f"memory_{name}", peak, "MB", None, 1)
    finally:
        for process in running.values():
            process.send_signal(signal.SIGTERM)
        for process in running.values():
            process.wait(15)


def _peak(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found += [int(entry.parent.name), *_children(int(entry.parent.name))]
    return found
