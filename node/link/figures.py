"""The figures of a node with workers: what each worker has counted, summed up with what the core has.

A worker tells its counters when they have changed, and at once when somebody asks it for the figures; others'
may then be a second old. A worker that ends leaves what it had counted, so no total ever goes back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample as PrometheusSample

from node.link.wire import Sample
from node.metrics import Metrics

_CREATED: Final = "_created"
Key = tuple[str, tuple[tuple[str, str], ...]]


def list_samples(metrics: Metrics) -> list[Sample]:
    """What a worker has counted."""
    return [
        Sample(sample.name, sorted(sample.labels.items()), sample.value)
        for family in metrics.registry.collect()
        for sample in family.samples
        if not sample.name.endswith(_CREATED)
    ]


class Account:
    """What one worker has counted."""

    def __init__(self, figures: WorkerFigures) -> None:
        self._figures = figures
        self.samples: dict[Key, float] = {}

    def update(self, samples: Sequence[Sample]) -> None:
        """The worker's counters as they stand."""
        self.samples = {(each.name, tuple(each.labels)): each.value for each in samples}

    def close(self) -> None:
        """The worker has ended; its counts stay."""
        self._figures.close(self)


class WorkerFigures:
    """The sum over all workers, those that have ended included."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[Account] = []
        self._ended: dict[Key, float] = {}

    def open(self) -> Account:
        """The account of a worker that begins."""
        account = Account(self)
        with self._lock:
            self._open.append(account)
        return account

    def close(self, account: Account) -> None:
        """Its counts are kept."""
        with self._lock:
            self._open.remove(account)
            _add(self._ended, account.samples)

    def sum_up(self) -> dict[Key, float]:
        """Each figure, over all workers."""
        with self._lock:
            total = dict(self._ended)
            for account in self._open:
                _add(total, account.samples)
        return total


def render(metrics: Metrics, figures: WorkerFigures) -> bytes:
    """The core's own figures and the workers', as Prometheus reads them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Sum(metrics, figures))
    return generate_latest(registry)


class _Sum(Collector):
    """The core's families, each sample with what the workers counted added."""

    def __init__(self, metrics: Metrics, figures: WorkerFigures) -> None:
        self._metrics = metrics
        self._figures = figures

    def describe(self) -> Iterable[Metric]:
        """Nothing is read when it is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Families in the core's order; a sample of workers alone stands behind the core's."""
        left = self._figures.sum_up()
        for family in self._metrics.registry.collect():
            samples = [
                sample._replace(value=sample.value + left.pop(_get_key(sample), 0.0))
                for sample in family.samples
            ]
            names = _list_names(family)
            samples += [
                PrometheusSample(name, dict(labels), left.pop((name, labels)))
                for name, labels in list(left)
                if name in names
            ]
            family.samples = samples
            yield family


def _get_key(sample: PrometheusSample) -> Key:
    return sample.name, tuple(sorted(sample.labels.items()))


def _list_names(family: Metric) -> frozenset[str]:
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(family.type, ("",))
    return frozenset(family.name + suffix for suffix in suffixes)


def _add(total: dict[Key, float], counts: Mapping[Key, float]) -> None:
    for key, value in counts.items():
        total[key] = total.get(key, 0.0) + value
