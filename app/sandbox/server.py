"""Serves the sandbox from threads of this process, on loopback only."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from app.sandbox.context import Sandbox
from app.sandbox.engine import Ticker

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class _Handler(WSGIRequestHandler):
    """Keeps connections open as the real clouds do, and writes no access log."""

    protocol_version = "HTTP/1.1"

    def make_environ(self) -> WSGIEnvironment:
        environ = super().make_environ()
        # The lock cloud's headers (client_id, access_token) have underscores, which werkzeug drops.
        for name, value in self.headers.items():
            if "_" in name:
                environ[f"HTTP_{name.upper()}"] = value
        return environ

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return


def make(app: Flask, port: int) -> BaseWSGIServer:
    """A threaded server on 127.0.0.1; port 0 takes a free one."""
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Handler)
    server.daemon_threads = True  # type: ignore[attr-defined]
    return server


@contextmanager
def running(app: Flask, port: int = 0) -> Iterator[str]:
    """Serve in the background for the length of a block; yields the base URL."""
    sandbox: Sandbox = app.extensions["sandbox"]
    server = make(app, port)
    ticker = Ticker(sandbox)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    sandbox.webhooks.start()
    ticker.start()
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        ticker.stop()
        sandbox.webhooks.stop()
