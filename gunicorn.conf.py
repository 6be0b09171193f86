"""How gunicorn serves Turnkey; `bin/run` adds a loopback `--bind`, a host sets PORT."""

from __future__ import annotations

import os
from typing import Any

bind = f"0.0.0.0:{os.environ.get('PORT') or 8000}"
worker_class = "gthread"
threads = int(os.environ.get("WEB_THREADS") or 8)
# A process has 10 s to end after SIGTERM (INTERFACES §1); requests in hand get most of it.
graceful_timeout = 8
timeout = 60
keepalive = 5
# The default runtime control socket is one per home directory, shared by everything on the machine.
control_socket_disable = True


def post_worker_init(worker: Any) -> None:
    """Say that web lives, so that the others can tell when it does not."""
    from app.queue.processes import process_name
    from app.services.presence import Presence

    worker.presence = Presence(worker.wsgi, "web", process_name("web"))
    worker.presence.begin()


def worker_exit(server: Any, worker: Any) -> None:
    """It ends in order: nobody need look for it."""
    if hasattr(worker, "presence"):
        worker.presence.end()
