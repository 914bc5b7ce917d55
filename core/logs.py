"""Structured logs: one JSON object a line, with the request's or run's id, and nothing secret in it."""

import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import TextIO

from core import clock

#: what the present work is for: ``request``, ``run``, ``customer``; added to every line written meanwhile
context: ContextVar[Mapping[str, str]] = ContextVar("stockade_log_context", default=MappingProxyType({}))

REDACTED = "[redacted]"
_SHORTEST_SECRET = 6  # shorter texts would blot out ordinary words
_TOKEN_SHAPES = re.compile(
    r"\bsq[uapc]o?_[0-9A-Za-z]{20,}\b"  # SonarQube tokens
    r"|\bsnyk_[us]at\.[0-9a-z]{8}\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+"  # Snyk tokens, and next those of old
    r"|(?<=oken )[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|\b[0-9a-f]{40}\b"  # SonarQube tokens of old, and other bare hex keys
    r"|\b(?:stk|srt)_[0-9A-Za-z_-]{20,}"  # our own API tokens and refresh tokens
    r"|\bck[0-9A-Za-z_-]{43}"  # and callback keys
    r"|\beyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]*"  # JWTs
    r"|(?<=Bearer )[^\s\"']+|(?<=Basic )[A-Za-z0-9+/=]{8,}"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"  # user:password in a URL
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` without the secrets named and without anything that has the shape of a token."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, REDACTED)
    return _TOKEN_SHAPES.sub(REDACTED, text)


class JsonFormatter(logging.Formatter):
    """Turns a record into one line of JSON; ``extra={"fields": {...}}`` adds fields."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": clock.iso(int(record.created * 1000)), "level": record.levelname.lower(), "logger": record.name,
                "message": redact(record.getMessage()), **context.get()}
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send all logs of this process to ``stream`` (standard error) as JSON lines."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("urllib3", "peewee", "rq.scheduler"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
