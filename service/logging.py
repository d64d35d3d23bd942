"""The log: structlog for us, and what libraries say through the standard library, in one form.

A person reads lines on the terminal; with ``json`` each line is an object.  While the board has the
terminal the log goes to a file of limited size.  Phone numbers are masked on the way out, whatever
part let one slip.
"""

import logging
import logging.handlers
import re
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, TextIO

import structlog

from service.settings import LogSettings

# A mainland mobile, with or without +86, not inside a longer number such as epoch milliseconds.
_MOBILE = re.compile(r"(?<![\d.])((?:\+?86[- ]?)?1[3-9]\d)[- ]?\d{4}[- ]?(\d{4})(?!\d)")
_QUIET = (
    "uvicorn", "uvicorn.access", "websockets", "asyncio", "httpcore", "httpx", "psycopg.pool",
    "paho", "kafka", "aiokafka", "faust", "mode",
)  # fmt: skip
_MUTE = ("pymodbus", "rumqttd")  # they log each poll that failed; the gateway tells it once


def mask_phones(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A processor: a mobile in any text of a record keeps three digits and the last four."""
    for name, value in event.items():
        event[name] = _masked(value)
    return event


def masked(text: str) -> str:
    """A text without whole phone numbers."""
    return _MOBILE.sub(r"\1****\2", text)


def set_up(
    settings: LogSettings, *, file: Path | None = None, stream: TextIO | None = None
) -> None:
    """Send the log to standard error, or to a file that is turned over at its limit.

    ``stream``: where standard error is, for a process in which somebody has put themselves before.
    """
    level = getattr(logging, settings.level.upper())
    handler: logging.Handler = logging.StreamHandler(stream or sys.stderr)
    if file is not None:
        size = settings.file_mb_max * 1024 * 1024
        handler = logging.handlers.RotatingFileHandler(
            file, maxBytes=size, backupCount=max(0, settings.files_max - 1), delay=True
        )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        mask_phones,
    ]
    colours = file is None and not settings.json and sys.stderr.isatty()
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(default=str)
        if settings.json
        else structlog.dev.ConsoleRenderer(colors=colours)
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    for name in _MUTE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, list | tuple):
        return [_masked(one) for one in value]
    if isinstance(value, dict):
        return {name: _masked(one) for name, one in value.items()}
    return value
