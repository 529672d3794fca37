"""Metrics: the node's own figures for an operator's monitoring, in Prometheus's text form.

Each app has a registry of its own, so two nodes in one process do not mix. Totals that the chain itself keeps
are read from its head when somebody asks; the rest is counted as it happens. Figures describe how the node
does and never who its members are: no label holds an id of theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ledger.executor import Head

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_APPLIED: Final = b'"code":"OK"'
_CODE: Final = b'"code":"'
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Watched(Protocol):
    """What is read of a core when somebody asks for the figures."""

    @property
    def head(self) -> Head:
        """Where the committed chain stands."""
        ...

    @property
    def waiting(self) -> int:
        """How many transactions wait for a block."""
        ...

    def find_rest(self) -> str | None:
        """Why a transaction sent now would not get into a block soon; None where it would."""
        ...

    @property
    def misbehaviour(self) -> int:
        """How often a validator was caught signing two blocks of one height."""
        ...


class Metrics:
    """Counters of one node."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._refused = Counter(
            "commonpoint_refused", "Requests refused, by code.", ["code"], registry=self.registry
        )
        self._rejected = Counter(
            "commonpoint_entries_rejected_by_family",
            "Messages recorded as rejected, by the first word of their code.",
            ["family"],
            registry=self.registry,
        )
        self._commits = Histogram(
            "commonpoint_commit_seconds",
            "From the start of a block's execution until it is durable and signed over.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._requests = Counter(
            "commonpoint_http_requests",
            "HTTP answers.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "commonpoint_http_request_seconds",
            "HTTP answers.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )

    def watch(self, core: Watched) -> None:
        """From now on the chain's head, the queue and readiness are among the figures."""
        self.registry.register(_ChainCollector(core))

    def count_block(self, *, seconds: float, outcomes: Iterable[bytes]) -> None:
        """A block was committed, with these outcomes. Called by the engine, once a block."""
        self._commits.observe(seconds)
        families: dict[str, int] = {}
        for outcome in outcomes:
            if _APPLIED not in outcome:
                family = get_family(outcome)
                families[family] = families.get(family, 0) + 1
        for family, count in families.items():
            self._rejected.labels(family).inc(count)

    def count_refusal(self, code: str) -> None:
        """Something was turned down at the rim or at intake."""
        self._refused.labels(code).inc()

    def count_answer(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered. ``route`` is the path as written in the API's description, so there are
        few.
        """
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def render(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)


def get_family(outcome: bytes) -> str:
    """The first word of an outcome's code: few families, however many codes there will be."""
    start = outcome.find(_CODE) + len(_CODE)
    code = outcome[start : outcome.index(b'"', start)]
    return code.split(b"_", 1)[0].decode("ascii")


class _ChainCollector(Collector):
    """What the chain knows of itself, read when asked for."""

    def __init__(self, core: Watched) -> None:
        self._core = core

    def describe(self) -> Iterable[Metric]:
        """Nothing is read when it is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Totals since genesis, and where the chain stands."""
        core = self._core
        head = core.head
        yield CounterMetricFamily("commonpoint_blocks", "Blocks since genesis.", value=head.height)
        yield CounterMetricFamily(
            "commonpoint_transactions", "Transactions since genesis.", value=head.transactions
        )
        entries = CounterMetricFamily("commonpoint_entries", "Entries since genesis.", labels=["result"])
        entries.add_metric(["applied"], head.accepted)
        entries.add_metric(["rejected"], head.entries - head.accepted)
        yield entries
        yield GaugeMetricFamily("commonpoint_head_size", "Leaves in the log.", value=head.size)
        yield GaugeMetricFamily("commonpoint_head_height", "Height of the newest block.", value=head.height)
        yield GaugeMetricFamily(
            "commonpoint_head_time_seconds", "Time of the newest block.", value=head.time / 1000
        )
        yield GaugeMetricFamily(
            "commonpoint_waiting_transactions", "Waiting for a block.", value=core.waiting
        )
        yield GaugeMetricFamily(
            "commonpoint_ready", "Whether /readyz says ready.", value=int(core.find_rest() is None)
        )
        yield CounterMetricFamily(
            "commonpoint_misbehaviour",
            "Times that a validator was caught signing two blocks of one height.",
            value=core.misbehaviour,
        )
