"""Runs: one load over one path against a copy of a prepared ledger, as often as asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from scripts.measure.figures import Figures
from scripts.measure.inside import feed_apart, measure_inside
from scripts.measure.load import Load, Order, make_load
from scripts.measure.prepared import Prepared, remove
from scripts.measure.site import Site

Drive = Callable[[Site, Load], Figures]
"""Figures of a load against a ledger, which is closed again when it returns."""


class Run(NamedTuple):
    """What is measured."""

    mix: str
    batch: int
    operations: int


class Bench:
    """Where runs are made: a folder to work in, and how often each is repeated."""

    def __init__(self, scratch: Path, *, repeat: int) -> None:
        self._scratch = scratch
        self._repeat = repeat
        self._count = 0

    def measure(self, prepared: Prepared, run: Run, drive: Drive) -> list[Figures]:
        """The figures of every repetition, each over a fresh copy with a load of its own."""
        return [self._measure_once(prepared, run, drive) for _ in range(self._repeat)]

    def measure_clients(self, prepared: Prepared, drive: Callable[[Site], Figures]) -> list[Figures]:
        """Likewise where clients make their own load."""
        found = []
        for _ in range(self._repeat):
            folder = self.make_folder()
            site = prepared.copy(folder / "ledger")
            stored = site.get_stored_bytes()
            figures = drive(site)
            figures.check_applied()
            grown = site.get_stored_bytes() - stored
            figures.stored_bytes_per_operation = round(grown / (figures.operations + figures.before), 1)
            remove(site)
            found.append(figures)
        return found

    def lay_down(self, prepared: Prepared, run: Run) -> Site:
        """A ledger that a load was sent to, closed, to be looked at."""
        folder = self.make_folder()
        load = self._make_load(folder / "load", prepared, run)
        site = prepared.copy(folder / "ledger")
        feed_apart(site, load.list_files())
        load.remove()
        return site

    def make_folder(self) -> Path:
        """A path for a new folder to work in."""
        self._count += 1
        return self._scratch / f"run-{self._count}"

    def _measure_once(self, prepared: Prepared, run: Run, drive: Drive) -> Figures:
        folder = self.make_folder()
        load = self._make_load(folder / "load", prepared, run)
        site = prepared.copy(folder / "ledger")
        stored = site.get_stored_bytes()
        figures = drive(site, load)
        figures.before = load.before
        figures.check_applied()
        grown = site.get_stored_bytes() - stored
        figures.stored_bytes_per_operation = round(grown / (load.operations + load.before), 1)
        load.remove()
        remove(site)
        return figures

    def _make_load(self, folder: Path, prepared: Prepared, run: Run) -> Load:
        order = Order(
            mix=run.mix,
            operations=run.operations,
            batch=run.batch,
            members=prepared.members,
            seed=prepared.seed,
            chain=prepared.site.chain,
            name=f"{run.mix}{run.batch}",
        )
        return make_load(folder, order)


def drive_inside(site: Site, load: Load) -> Figures:
    """In process."""
    return measure_inside(site, load)


def drive_profiled(site: Site, load: Load) -> Figures:
    """As `drive_inside`, with the time of each stage."""
    return measure_inside(site, load, is_profiled=True)
