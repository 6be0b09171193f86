"""How gunicorn serves Turnkey; `bin/run` adds a loopback `--bind`, a host sets PORT."""

from __future__ import annotations

import os

bind = f"0.0.0.0:{os.environ.get('PORT') or 8000}"
worker_class = "gthread"
threads = int(os.environ.get("WEB_THREADS") or 8)
# A process has 10 s to end after SIGTERM (INTERFACES §1); requests in hand get most of it.
graceful_timeout = 8
timeout = 60
keepalive = 5
# The default runtime control socket is one per home directory, shared by everything on the machine.
control_socket_disable = True
