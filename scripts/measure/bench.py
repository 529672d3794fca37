"""The benchmark: the ledger, this machine's raw limits and a peer in one run, so that every figure is also a
ratio.

Load is signed before any clock starts, and every run checks that what it sent was applied. What is measured,
how, and what each figure means: docs/how-to/benchmark.md.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from scripts.measure import parts
from scripts.measure.mixes import WORDS
from scripts.measure.prepared import prepare
from scripts.measure.report import Report
from scripts.measure.runs import Bench

_EPILOG = "Parts: " + "; ".join(f"{name}: {part.words}" for name, part in parts.PARTS.items())


def main() -> None:
    """Measure, print tables, write JSON where asked."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__, epilog=_EPILOG)
    parser.add_argument("--quick", action="store_true", help="10,000 accounts and a little load")
    parser.add_argument("--full", action="store_true", help="every part")
    parser.add_argument("--only", metavar="PART,…", help="these parts alone")
    for name in parts.PARTS:
        parser.add_argument(f"--{name}", action="store_true", help=f"also: {parts.PARTS[name].words}")
    parser.add_argument("--members", type=int, help="each with one account (1,000,000; quick: 10,000)")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each kind; all are printed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="of the node, where it is served")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where prepared ledgers are kept")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON")
    options = parser.parse_args()
    members = options.members or (10_000 if options.quick else 1_000_000)
    report = Report(seed=options.seed, members=members)
    with tempfile.TemporaryDirectory(prefix="commonpoint-bench-") as folder:
        scratch = Path(folder)
        setting = parts.Setting(
            bench=Bench(scratch, repeat=options.repeat),
            report=report,
            scratch=scratch,
            cache=options.cache or scratch / "cache",
            seed=options.seed,
            members=members,
            is_quick=options.quick,
            is_full=options.full,
            workers=options.workers,
        )
        chosen = _choose(options)
        report.say("Signing load is outside the timed part. Compare ratios within one run.")
        for mix in ("day", "peak"):
            report.say(f"  {mix}: {WORDS[mix]}")
        if any(parts.PARTS[name].needs_ledger for name in chosen):
            prepare(setting.cache, seed=options.seed, members=members)
        for name in chosen:
            report.say(f"\n{name}: {parts.PARTS[name].words}")
            parts.PARTS[name].run(setting)
    if options.json:
        report.write(options.json)


def _choose(options: argparse.Namespace) -> list[str]:
    """The parts to run, in their order."""
    if options.only:
        wanted = set(options.only.split(","))
        unknown = wanted - set(parts.PARTS)
        if unknown:
            raise SystemExit(
                f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(parts.PARTS)}"
            )
        return [name for name in parts.PARTS if name in wanted]
    extra = {name for name in parts.EXTRA if getattr(options, name)}
    return [name for name in parts.PARTS if options.full or name not in parts.EXTRA or name in extra]


if __name__ == "__main__":
    main()
