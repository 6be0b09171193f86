"""How gunicorn serves Turnkey; `bin/run` adds a loopback `--bind`, a host sets PORT."""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

bind = f"0.0.0.0:{os.environ.get('PORT') or 8000}"
worker_class = "gthread"
threads = int(os.environ.get("WEB_THREADS") or 8)
# A process has 10 s to end after SIGTERM (INTERFACES §1); requests in hand get most of it.
graceful_timeout = 8
timeout = 60
keepalive = 5
# `timeout` watches the process, not a client: one that goes silent in the middle of a request, or
# stops reading its answer, would keep its thread for ever. So its connection is given up. Whoever
# sends a byte now and then is kept away by the proxy, which passes on whole requests.
silence_seconds = 20
# The default runtime control socket is one per home directory, shared by everything on the machine.
control_socket_disable = True


def when_ready(server: Any) -> None:
    """Listeners hand their time limits on to every connection they accept (Linux)."""
    limit = struct.pack("ll", silence_seconds, 0)
    for listener in server.LISTENERS:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            listener.sock.setsockopt(socket.SOL_SOCKET, option, limit)


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
