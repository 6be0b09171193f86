"""Log lines with request and job ids; secrets and guest data are removed before they are written.

PINs are masked by their type; this processor is the second fence: any key that names something
private loses its value, at any depth (SEC-08…10, P2-SEC).
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog

PRIVATE = re.compile(
    r"pin$|pin_|password|passwd|secret|token|authorization|cookie|ticket|guest|email|phone|"
    r"payload|raw_body|api_key|local_key|ciphertext",
    re.IGNORECASE,
)
#: keys that look private and are not
PUBLIC = frozenset({"pin_state", "pin_job", "pin_jobs", "pin_job_id", "token_type", "lease_token"})
REMOVED = "[removed]"

_TRACEBACK = frozenset({"exc_info", "exception", "stack"})
_AS_IT_IS = frozenset({"event", "exc_info"})


def redact(value: Any, key: str = "") -> Any:
    """`value` without what its key, or a key inside it, says is private."""
    if key and key not in PUBLIC and PRIVATE.search(key):
        return REMOVED if value is not None else None
    if isinstance(value, Mapping):
        return {k: redact(v, str(k)) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    return value


def _redact_event(
    logger: Any, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return {key: value if key in _AS_IT_IS else redact(value, key) for key, value in event.items()}


#: what ends a line, steers a terminal or turns the reading direction
_STEERING = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def _harmless(value: Any) -> Any:
    if isinstance(value, str):
        return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), value)
    if isinstance(value, Mapping):
        return {_harmless(key): _harmless(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_harmless(each) for each in value]
    return value


def _one_line(
    logger: Any, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """What strangers sent must not look like a second line, nor command the terminal that shows it
    (log injection). A traceback keeps its lines."""
    return {
        key: value if key in _TRACEBACK or key.startswith("_") else _harmless(value)
        for key, value in event.items()
    }


def configure(*, level: str = "INFO", fmt: str = "console") -> None:
    """Send the standard library's and our own records through one formatter to stdout."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _redact_event,
        _one_line,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if fmt == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,  # before anything is put together for nobody
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info if fmt == "json" else _keep,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Libraries that would print bodies, headers or our job arguments.
    for name in ("httpx", "httpcore", "urllib3", "tinytuya", "rq", "rq_scheduler", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("tinytuya.core.core").setLevel(logging.WARNING)


def _keep(
    logger: Any, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return event
