"""The report: readable lines while it runs, everything as JSON when it is done."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from scripts.measure.figures import Figures

VERIFY: str = "ed25519_verify_per_second"
PEER: str = "postgresql_function_batched_in_order_per_second"
_HEAD = (
    f"{'path':>14} {'store':>10} {'mix':>5} {'batch':>6} {'op/s':>9} {'+drain':>9} {'x verify':>8}"
    f" {'x peer':>7} {'p50 ms':>9} {'p99 ms':>9} {'cpu us':>7} {'B/op':>6} {'peak MiB':>9}"
)


class Report:
    """Everything one run of the benchmark found."""

    def __init__(self, *, seed: int, members: int) -> None:
        self.raw: dict[str, int] = {}
        self._found: dict[str, Any] = {
            "seed": seed,
            "members": members,
            "cores": os.cpu_count(),
            "raw": self.raw,
            "results": [],
            "others": [],
            "left_out": [],
        }
        self._has_head = False

    def say(self, text: str) -> None:
        """A line for people alone."""
        self._has_head = False
        print(text, flush=True)

    def add_raw(self, figures: Mapping[str, int]) -> None:
        """Raw limits and peers: what every other figure is a ratio to."""
        for name, value in figures.items():
            self.raw[name] = value
            self.say(f"{name.replace('_', ' '):>64} {value:>12,}")

    def add_runs(self, runs: Sequence[Figures], *, part: str) -> None:
        """The repetitions of one run: each is printed, the best is marked where there are several."""
        best = max(runs, key=lambda run: run.ops_per_second)
        for run in runs:
            row = run.to_row()
            row |= {"part": part, "is_best": run is best, "ratio_to": self._get_ratios(run.ops_per_second)}
            self._found["results"].append(row)
            self._print(run, is_best=run is best and len(runs) > 1)

    def add_other(self, name: str, value: float, unit: str, **facts: Any) -> None:
        """A figure of another kind."""
        self._found["others"].append({"name": name, "value": value, "unit": unit, **facts})
        ratios = self._get_ratios(value) if unit == "op/s" else {}
        told = "".join(f", {ratio} x {what}" for what, ratio in ratios.items())
        more = "".join(f", {name.replace('_', ' ')} {fact}" for name, fact in facts.items())
        self.say(f"{name:>64} {value:>12,} {unit}{told}{more}")

    def leave_out(self, what: str, why: str) -> None:
        """What was asked for and not measured."""
        self._found["left_out"].append({"what": what, "why": why})
        self.say(f"left out: {what}: {why}")

    def add_stages(self, run: Figures) -> None:
        """Where the processor time of a run went."""
        self.say(f"\nprofile: {run.mix}, {run.batch:,} a transaction; us of processor time an operation")
        for stage, value in run.stages.items():
            self.say(f"{stage:>64} {value:>9.2f}")
        self.say(f"{'all of it':>64} {run.cpu_us_per_operation:>9.2f}")
        self._found["others"].append(
            {"name": "stages", "mix": run.mix, "batch": run.batch, "us_per_operation": run.stages}
        )

    def write(self, path: Path) -> None:
        """All of it as JSON."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self._found)) + b"\n")

    def _get_ratios(self, value: float) -> dict[str, float]:
        return {name: round(value / self.raw[name], 3) for name in (VERIFY, PEER) if self.raw.get(name)}

    def _print(self, run: Figures, *, is_best: bool) -> None:
        if not self._has_head:
            print(_HEAD)
            self._has_head = True
        ratios = self._get_ratios(run.ops_per_second)
        verify, peer = (f"{ratios[name]:.2f}" if name in ratios else "-" for name in (VERIFY, PEER))
        stored = "-" if run.stored_bytes_per_operation is None else f"{run.stored_bytes_per_operation:.0f}"
        print(
            f"{run.path:>14} {run.store:>10} {run.mix:>5} {run.batch or '-':>6} {run.ops_per_second:>9,}"
            f" {run.ops_per_second_with_drain:>9,} {verify:>8} {peer:>7} {run.p50_ms:>9,.1f}"
            f" {run.p99_ms:>9,.1f} {run.cpu_us_per_operation:>7.1f} {stored:>6}"
            f" {run.resident_peak_bytes / 2**20:>9,.0f}" + ("  best" if is_best else ""),
            flush=True,
        )
