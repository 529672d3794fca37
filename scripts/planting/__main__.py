"""`scripts/plant`: each bug in a copy of the tree, and what the tests say to it.

First the tests that are named run on a copy without any bug: they must pass, or nothing would be shown by
their failing. Then each bug is applied, its tests run, and it is taken out again. Caught means that a test
failed; a copy that cannot even be imported shows nothing and counts as not caught.

Exit status: 0 all are caught, 1 one is not, 2 it could not be run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Final, NamedTuple

from rich.console import Console

from scripts.planting.faults import Fault, apply_fault, read_faults

ROOT: Final = Path(__file__).resolve().parents[2]
WORKERS: Final = 2
TESTS_FAILED: Final = 1
"""pytest's exit status where tests ran and some failed; others mean that they could not be run."""
SECONDS_MAX: Final = 600


class Verdict(NamedTuple):
    """What came of one bug."""

    fault: Fault
    is_caught: bool
    said: str
    """The first test that failed, or why nothing is shown."""
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Plant the bugs; the exit status."""
    options = _read_options(arguments)
    console = Console(highlight=False)
    faults = [fault for fault in read_faults() if options.only in fault.name]
    if options.list or not faults:
        for fault in faults:
            console.print(f"{fault.name:36} {fault.what}", markup=False, soft_wrap=True)
        return 0 if faults else 2
    with tempfile.TemporaryDirectory(prefix="commonpoint-plant-") as folder:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(min(WORKERS, len(faults))):
            trees.put(copy_tree(Path(folder) / str(number)))
        tree = trees.get()
        tests = sorted({test for fault in faults for test in fault.tests})
        console.print(f"{len(faults)} bugs; their tests without any of them …")
        status, said = run_tests(tree, tests)
        if status != 0:
            console.print(f"The tests fail as the tree stands: {said}", markup=False)
            return 2
        trees.put(tree)
        with ThreadPoolExecutor(WORKERS) as pool:
            verdicts = []
            for verdict in pool.map(lambda fault: _judge(fault, trees), faults):
                _tell(console, verdict)
                verdicts.append(verdict)
    caught = sum(verdict.is_caught for verdict in verdicts)
    console.print(f"\n{caught} of {len(verdicts)} planted bugs caught")
    return 0 if caught == len(verdicts) else 1


def _read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/plant", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", metavar="WORD", default="", help="those whose name contains the word")
    parser.add_argument("--list", action="store_true", help="what there is to plant")
    return parser.parse_args(arguments)


def copy_tree(target: Path) -> Path:
    """Every file of the project as it stands here, committed or not, and nothing that is ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    return target


def run_tests(tree: Path, tests: Sequence[str]) -> tuple[int, str]:
    """The exit status of pytest over a tree's own code, and the first failure it tells."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=no", *tests],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
        # The tree's own packages come before those that are installed, in processes that tests start as well.
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    lines = done.stdout.splitlines()
    failures = [line for line in lines if line.startswith(("FAILED ", "ERROR "))]
    return done.returncode, (failures or lines[-1:] or [done.stderr.strip()])[0]


def _judge(fault: Fault, trees: SimpleQueue[Path]) -> Verdict:
    tree = trees.get()
    began = time.monotonic()
    try:
        trouble = apply_fault(fault, tree)
        if trouble is not None:
            return Verdict(fault, False, f"does not apply: {trouble}", 0.0)
        try:
            status, said = run_tests(tree, fault.tests)
        finally:
            apply_fault(fault, tree, undo=True)
        return Verdict(fault, status == TESTS_FAILED, said, time.monotonic() - began)
    finally:
        trees.put(tree)


def _tell(console: Console, verdict: Verdict) -> None:
    mark = "caught" if verdict.is_caught else "NOT CAUGHT"
    fault = verdict.fault
    console.print(
        f"{mark:10} {fault.name:36} {verdict.seconds:5.1f} s  {fault.what}", markup=False, soft_wrap=True
    )
    console.print(f"           {verdict.said.partition(' - ')[0]}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
