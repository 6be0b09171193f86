"""A client that goes silent in the middle of a request does not keep a thread (ASVS 11.1.4; slow
requests). The server is the real one, with the limits of gunicorn.conf.py."""

from __future__ import annotations

import runpy
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config import ROOT

CONF = """
import runpy
theirs = runpy.run_path({conf!r})
when_ready, worker_class = theirs["when_ready"], theirs["worker_class"]
theirs["when_ready"].__globals__["silence_seconds"] = 1
control_socket_disable = True
threads = 1
bind = "127.0.0.1:0"
"""
APP = """
def app(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
HALF_A_HEAD = b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "
HALF_A_BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"
WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server with one thread, which gives up a silent client after a second."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "conf.py").write_text(CONF.format(conf=str(ROOT / "gunicorn.conf.py")))
    (folder / "served.py").write_text(APP)
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--config", "conf.py", "served:app"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr is not None
    found = None
    for line in server.stderr:
        if "Listening at" in line:
            found = int(line.split("127.0.0.1:")[1].split()[0].strip("()"))
            break
    assert found is not None, "the server did not start"
    yield found
    server.terminate()
    server.communicate(timeout=15)


def ask(port: int, patience: float) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as client:
        client.sendall(WHOLE)
        return client.recv(1000)


@pytest.mark.parametrize("half", [HALF_A_HEAD, HALF_A_BODY], ids=["head", "body"])
def test_a_silent_client_is_given_up(port: int, half: bytes) -> None:
    assert ask(port, 10).startswith(b"HTTP/1.1 200")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as silent:
        silent.sendall(half)
        time.sleep(0.2)  # it has the only thread by now
        assert ask(port, 10).startswith(b"HTTP/1.1 200")


def test_the_limit_is_shorter_than_any_proxys_patience() -> None:
    conf = runpy.run_path(str(Path(ROOT) / "gunicorn.conf.py"))
    assert 5 <= conf["silence_seconds"] <= 30
