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
    return {key: value if key == "event" else redact(value, key) for key, value in event.items()}


def _one_line(
    logger: Any, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """A line break in a value must not look like a second log line (log injection)."""
    for key, value in event.items():
        if isinstance(value, str) and key not in ("exception", "stack"):
            event[key] = value.replace("\r", "\\r").replace("\n", "\\n")
    return event


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
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
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
