"""What a node tells its operator: JSON lines and metrics. Never payloads, never tokens.

Each node has its own logger and registry, because tests and the test network run several in one
process. Event names are constant (`envelope.accepted`); what varies goes into fields.
"""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from aiohttp import web
    from structlog.typing import FilteringBoundLogger

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Telemetry:
    """Logger `log` and the metrics of one node."""

    def __init__(self, did: str, level: str = "info", stream: TextIO | None = None) -> None:
        """Lines go to `stream` (standard error by default), from `level` upwards."""
        self.log = _logger(level, stream or sys.stderr).bind(node=did)
        self.registry = CollectorRegistry()
        self._made: dict[str, Any] = {}
        self._requests = self.counter(
            "pratique_http_requests_total", "Requests answered", ("tag", "status")
        )
        self._seconds = self.histogram(
            "pratique_http_seconds", "Seconds to answer a request", ("tag",)
        )

    def counter(self, name: str, doc: str, labels: Sequence[str] = ()) -> Counter:
        """The counter of that name, made at first use."""
        if name not in self._made:
            self._made[name] = Counter(name, doc, labels, registry=self.registry)
        found: Counter = self._made[name]
        return found

    def gauge(self, name: str, doc: str, labels: Sequence[str] = ()) -> Gauge:
        """The gauge of that name, made at first use."""
        if name not in self._made:
            self._made[name] = Gauge(name, doc, labels, registry=self.registry)
        found: Gauge = self._made[name]
        return found

    def histogram(self, name: str, doc: str, labels: Sequence[str] = ()) -> Histogram:
        """The histogram of seconds of that name, made at first use."""
        if name not in self._made:
            self._made[name] = Histogram(
                name, doc, labels, registry=self.registry, buckets=_SECONDS
            )
        found: Histogram = self._made[name]
        return found

    def exposition(self) -> bytes:
        """All metrics in the Prometheus text format 0.0.4."""
        return generate_latest(self.registry)

    def request(self, request: web.Request, status: int, seconds: float) -> None:
        """Counts one answered request and logs it; refusals are told louder."""
        from node.http.routes import CODE, PEER, REQUEST_ID, ROUTE, TRACE

        route = request.get(ROUTE)
        tag = route.tag if route else "none"
        self._requests.labels(tag, str(status)).inc()
        self._seconds.labels(tag).observe(seconds)
        fields = {
            "request": request[REQUEST_ID],
            "method": request.method,
            "path": request.path,
            "status": status,
            "ms": round(seconds * 1000, 1),
        }
        told = {"peer": request.get(PEER), "code": request.get(CODE), "trace": request.get(TRACE)}
        fields |= {name: value for name, value in told.items() if value is not None}
        tell = self.log.warning if status >= 500 else self.log.debug
        tell("http.answered", **fields)


def _logger(level: str, stream: TextIO) -> FilteringBoundLogger:
    structlog = _structlog()
    number = getattr(logging, level.upper(), logging.INFO)
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        context_class=dict,
    )
    return logger


def _structlog() -> Any:
    """structlog without its development console, which alone would load Rich (DESIGN §2)."""
    if "structlog" in sys.modules or "rich" in sys.modules:
        return import_module("structlog")
    sys.modules["rich"] = None  # type: ignore[assignment] # None bars an import
    try:
        return import_module("structlog")
    finally:
        del sys.modules["rich"]
