"""The parts of the benchmark, each of which can be chosen."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from scripts.measure.figures import Figures
from scripts.measure.followed import FOLLOWERS, measure_followed
from scripts.measure.inside import call_apart, measure_inside
from scripts.measure.load import Load
from scripts.measure.peer import measure_peer
from scripts.measure.postgres import run_postgres
from scripts.measure.prepared import Prepared, prepare, prepare_in_postgresql, remove
from scripts.measure.raw import measure_raw
from scripts.measure.report import Report
from scripts.measure.runs import Bench, Run, drive_inside, drive_profiled
from scripts.measure.shops import measure_shops
from scripts.measure.site import Site
from scripts.measure.sizes import Sizes, count_leaves, get_file_sizes, measure_leaves
from scripts.measure.sockets import measure_socket
from scripts.measure.verifying import catch_up, follow, rebuild, verify


class Setting(NamedTuple):
    """What every part is given."""

    bench: Bench
    report: Report
    scratch: Path
    cache: Path
    seed: int
    members: int
    is_quick: bool
    is_full: bool
    workers: int
    """Processes of a served node for its API; 0: none of their own."""

    def prepare(self) -> Prepared:
        """The ledger that is measured."""
        return prepare(self.cache, seed=self.seed, members=self.members)


class Part(NamedTuple):
    """One part."""

    words: str
    run: Callable[[Setting], None]
    needs_ledger: bool = True


_OPERATIONS: Final = {1: 30_000, 100: 200_000, 1_000: 500_000, 8_192: 819_200}
_QUICK_OPERATIONS: Final = {1: 2_000, 100: 10_000, 1_000: 60_000, 8_192: 65_536}


def get_operations(setting: Setting, batch: int) -> int:
    """How much is measured: enough for several folds, where it is not to be quick."""
    return (_QUICK_OPERATIONS if setting.is_quick else _OPERATIONS)[batch]


def _measure_limits(setting: Setting) -> None:
    setting.report.add_raw(measure_raw(setting.scratch, seconds=0.3 if setting.is_quick else 1.0))


def _measure_peer(setting: Setting) -> None:
    seconds = 2.0 if setting.is_quick else 8.0
    setting.report.add_raw(measure_peer(accounts=setting.members, seed=setting.seed, seconds=seconds))


def _measure_peak(setting: Setting) -> None:
    _measure_mix(setting, "peak", (1, 100, 1_000, 8_192) if setting.is_full else (1_000, 8_192))


def _measure_day(setting: Setting) -> None:
    _measure_mix(setting, "day", (1, 100, 1_000, 8_192) if setting.is_full else (1, 100, 1_000))


def _measure_mix(setting: Setting, mix: str, sizes: tuple[int, ...]) -> None:
    for batch in sizes:
        run = Run(mix, batch, get_operations(setting, batch))
        setting.report.add_runs(setting.bench.measure(setting.prepare(), run, drive_inside), part=mix)


def _measure_sizes(setting: Setting) -> None:
    prepared = setting.prepare()
    before = get_file_sizes(prepared.site)
    copy = prepared.copy(setting.bench.make_folder())
    first = call_apart(count_leaves, copy)
    remove(copy)
    run = Run("day", 1_000, 20_000 if setting.is_quick else 200_000)
    site = setting.bench.lay_down(prepared, run)
    sizes: Sizes = call_apart(partial(measure_leaves, first=first), site)
    setting.report.add_other("mean leaf of the day mix", sizes.mean_leaf, "bytes", leaves=sizes.leaves)
    setting.report.add_other("largest leaf", sizes.largest_leaf, "bytes")
    for name, size in get_file_sizes(site).items():
        grown = round((size - before.get(name, 0)) / sizes.leaves, 1)
        setting.report.add_other(f"{name}, a leaf", grown, "bytes")
    remove(site)


def _measure_stages(setting: Setting) -> None:
    for mix, batch in (("peak", 1_000), ("day", 1_000), ("day", 100)):
        run = Run(mix, batch, get_operations(setting, batch))
        for figures in setting.bench.measure(setting.prepare(), run, drive_profiled):
            setting.report.add_stages(figures)


def _measure_socket(setting: Setting) -> None:
    def drive(site: Site, load: Load) -> Figures:
        return measure_socket(site, load, workers=setting.workers)

    def drive_local(site: Site, load: Load) -> Figures:
        return measure_socket(site, load, workers=setting.workers or 1, is_local=True)

    for mix, batch in (("day", 1), ("peak", 1), ("peak", 1_000)) if setting.is_full else (("day", 1),):
        run = Run(mix, batch, get_operations(setting, batch))
        for way in (drive, drive_local):
            setting.report.add_runs(setting.bench.measure(setting.prepare(), run, way), part="socket")


def _measure_sdk(setting: Setting) -> None:
    _measure_calls(setting, "peak", 20_000 if setting.is_quick else 200_000, callers=1_000, part="sdk")


def _measure_burst(setting: Setting) -> None:
    operations = 5_000 if setting.is_quick else 100_000
    words = f"burst of {operations:,} redemptions with codes from 20 merchants, to the last receipt"
    run = Run("burst", 1_000, operations)

    def drive(site: Site, load: Load) -> Figures:
        return measure_inside(site, load, under_way=load.transactions)

    runs = setting.bench.measure(setting.prepare(), run, drive)
    setting.report.add_runs(runs, part="burst")
    setting.report.add_other(words, round(min(each.seconds for each in runs), 2), "s", path="in process")
    runs = _measure_calls(setting, "burst", operations, callers=operations, part="burst")
    setting.report.add_other(words, round(min(each.seconds for each in runs), 2), "s", path="HTTP, SDK")


def _measure_calls(setting: Setting, mix: str, operations: int, *, callers: int, part: str) -> list[Figures]:
    """Figures of client processes; ``callers`` of them in all are under way at once in each process."""

    def drive(site: Site) -> Figures:
        return measure_shops(
            site,
            seed=setting.seed,
            members=setting.members,
            mix=mix,
            operations=operations,
            callers=callers,
            workers=setting.workers,
        )

    runs = setting.bench.measure_clients(setting.prepare(), drive)
    setting.report.add_runs(runs, part=part)
    return runs


def _measure_followed(setting: Setting) -> None:
    """With followers and without, one after the other as often as asked for."""
    prepared = prepare(setting.cache, seed=setting.seed, members=_VERIFIED_MEMBERS)
    run = Run("day", 1_000, 40_000 if setting.is_quick else 400_000)
    spent: dict[int, list[float]] = {0: [], FOLLOWERS: []}
    for count in (0, FOLLOWERS):

        def drive(site: Site, load: Load, count: int = count) -> Figures:
            return measure_followed(site, load, followers=count, workers=setting.workers)

        runs = setting.bench.measure(prepared, run, drive)
        setting.report.add_runs(runs, part="followed")
        spent[count] += [each.cpu_us_per_operation for each in runs]
    ratio = min(spent[0]) / min(spent[FOLLOWERS])
    setting.report.add_other(
        f"leader's speed by processor time, with {FOLLOWERS} followers to none", round(ratio, 3), "x"
    )


def _measure_postgresql(setting: Setting) -> None:
    with run_postgres() as server:
        prepared = prepare_in_postgresql(server, setting.scratch, seed=setting.seed, members=setting.members)
        for mix, batch in (("peak", 1_000), ("peak", 8_192), ("day", 1), ("day", 100), ("day", 1_000)):
            run = Run(mix, batch, get_operations(setting, batch))
            setting.report.add_runs(setting.bench.measure(prepared, run, drive_inside), part="postgresql")


def _measure_growth(setting: Setting) -> None:
    fresh: Figures | None = None
    steps = _QUICK_GROWTH if setting.is_quick else _GROWTH
    for members, entries in steps:
        prepared = prepare(setting.cache, seed=setting.seed, members=members, entries=entries)
        runs = setting.bench.measure(
            prepared, Run("peak", 1_000, get_operations(setting, 1_000)), drive_inside
        )
        setting.report.add_runs(runs, part="growth")
        best = max(runs, key=lambda run: run.ops_per_second)
        fresh = fresh or best
        name = f"at {prepared.entries:,} entries and {members:,} accounts, to fresh"
        setting.report.add_other(
            name,
            round(best.ops_per_second / fresh.ops_per_second, 3),
            "x",
            processor_time_an_operation_to_fresh=round(
                best.cpu_us_per_operation / fresh.cpu_us_per_operation, 3
            ),
        )


def _measure_verification(setting: Setting) -> None:
    """Of the day mix, whose entries carry every rule and a consent in ten."""
    prepared = prepare(setting.cache, seed=setting.seed, members=_VERIFIED_MEMBERS)
    site = setting.bench.lay_down(prepared, Run("day", 1_000, 40_000 if setting.is_quick else 400_000))
    _tell_verification(setting, site.directory)
    if setting.is_full and setting.members > _VERIFIED_MEMBERS:
        site = setting.prepare().copy(setting.bench.make_folder())
        _tell_verification(setting, site.directory)


def _tell_verification(setting: Setting, directory: Path) -> None:
    timed, operations = verify(directory)
    followed = follow(directory, directory.parent)
    for name, each in (
        (f"commonpoint verify, {operations:,} operations from disk", timed),
        ("a follower from a folder, the same log", followed),
        ("commonpoint rebuild, the same log", rebuild(directory)),
        ("a start without views, the same log", catch_up(directory)),
    ):
        setting.report.add_other(
            name,
            round(operations / each.seconds),
            "op/s",
            seconds=round(each.seconds, 2),
            cpu_us_per_operation=round(each.cpu_seconds / operations * 1_000_000, 1),
        )
    shutil.rmtree(directory.parent / "mirror")
    shutil.rmtree(directory)


_VERIFIED_MEMBERS: Final = 10_000
_GROWTH: Final = ((10_000, 0), (10_000, 1_000_000), (1_000_000, 0), (1_000_000, 10_000_000))
"""Members, and entries where they are more than those that made the accounts."""
_QUICK_GROWTH: Final = ((10_000, 0), (10_000, 100_000))

PARTS: Final = {
    "raw": Part("what this machine can do at all", _measure_limits, needs_ledger=False),
    "peer": Part("a double-entry function in PostgreSQL, written by hand", _measure_peer, needs_ledger=False),
    "peak": Part("the peak mix in process", _measure_peak),
    "day": Part("the day mix in process", _measure_day),
    "socket": Part("one message a transaction, 64 at once: HTTP, and the local socket", _measure_socket),
    "sdk": Part("the peak mix as calls of the SDK in four client processes", _measure_sdk),
    "burst": Part("redemptions with codes from 20 merchants at once", _measure_burst),
    "verify": Part("verification, rebuild and catch-up", _measure_verification, needs_ledger=False),
    "followed": Part(
        "what two followers cost the node that they follow", _measure_followed, needs_ledger=False
    ),
    "postgresql": Part(
        "both mixes in process, with PostgreSQL as the store", _measure_postgresql, needs_ledger=False
    ),
    "sizes": Part("bytes of leaves and files", _measure_sizes),
    "growth": Part("the peak mix as entries and accounts grow", _measure_growth, needs_ledger=False),
    "profile": Part("processor time by stage", _measure_stages),
}
EXTRA: Final = ("followed", "postgresql", "sizes", "growth", "profile")
"""Parts that run only when they are asked for."""
