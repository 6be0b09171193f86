"""What is private never reaches a log line (SEC-08…10)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from app import logs


@pytest.fixture
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_private_keys_lose_their_value_at_any_depth(
    restored: None, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(level="INFO", fmt="json")
    structlog.get_logger("test").info(
        "something",
        guest_name="Ana",
        nested={"password": "hunter2", "list": [{"access_token": "abc", "fine": 1}]},
        pin="4830157",
        pin_state="active",
        job_id="gen-1",
    )
    line = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    for secret in ("Ana", "hunter2", "abc", "4830157"):
        assert secret not in json.dumps(line)
    assert line["nested"]["list"][0]["fine"] == 1
    assert (line["pin_state"], line["job_id"]) == ("active", "gen-1")


def test_a_line_break_cannot_forge_a_line(
    restored: None, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(level="INFO", fmt="json")
    structlog.get_logger("test").info("x", path='/a\n{"event": "forged"}')
    assert len(capsys.readouterr().out.strip().splitlines()) == 1


def test_talkative_libraries_are_quiet_even_at_debug(restored: None) -> None:
    logs.configure(level="DEBUG", fmt="json")
    for name in ("tinytuya", "tinytuya.core.core", "httpx", "urllib3", "rq"):
        assert not logging.getLogger(name).isEnabledFor(logging.DEBUG), name
