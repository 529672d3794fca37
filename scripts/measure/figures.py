"""Figures of one run, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec


class Figures(msgspec.Struct, kw_only=True):
    """One measured run. What it means stands in docs/how-to/benchmark.md."""

    path: str
    store: str
    mix: str
    batch: int
    operations: int
    applied: int
    """Of these, messages that took effect."""
    before: int = 0
    """Messages sent before the first of these: what captures and refunds name."""
    seconds: float
    """From the first send to the last answer."""
    drain_seconds: float
    """From there until all of it is folded and the databases are closed."""
    p50_ms: float
    p99_ms: float
    cpu_seconds: float
    """Of the node and its children, from the first send until everything is folded."""
    client_cpu_seconds: float = 0.0
    """Of the clients, where they are processes of their own."""
    stored_bytes_per_operation: float | None = None
    resident_bytes: int = 0
    resident_peak_bytes: int = 0
    stages: dict[str, float] = {}
    """Microseconds an operation, where a profile was asked for."""

    @property
    def ops_per_second(self) -> int:
        """Operations a second from the first send to the last answer."""
        return round(self.operations / self.seconds)

    @property
    def ops_per_second_with_drain(self) -> int:
        """Operations a second when the fold's leftovers are counted too."""
        return round(self.operations / (self.seconds + self.drain_seconds))

    @property
    def cpu_us_per_operation(self) -> float:
        """Processor time of the node an operation."""
        return round(self.cpu_seconds / self.operations * 1_000_000, 2)

    def to_row(self) -> dict[str, Any]:
        """All of it, for JSON."""
        row: dict[str, Any] = msgspec.to_builtins(self)
        row["ops_per_second"] = self.ops_per_second
        row["ops_per_second_with_drain"] = self.ops_per_second_with_drain
        row["cpu_us_per_operation"] = self.cpu_us_per_operation
        return row

    def check_applied(self) -> None:
        """Nearly all of the load took effect, or the figure would be one of refusals."""
        if self.applied < self.operations * 99 // 100:
            raise SystemExit(f"only {self.applied} of {self.operations} operations were applied")


def get_percentile(values: Sequence[float], part: int) -> float:
    """The value below which ``part`` per cent of them lie."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, len(ordered) * part // 100)], 3)
