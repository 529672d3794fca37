"""Crash states of a recording, rebuilt, and each opened by what a node opens its ledger with.

    python -m tests.node.crash.survivors TASK

A task (JSON) names a recording and the log it came to, a share of its crash points, a seed and how many
different states to look at; says what was found, as JSON. Every state must open without anything being cut
or repaired, hold everything that was answered before the power went and nothing that never was, be vouched
for by a checkpoint over no more than it holds, and come to the very state that the log comes to.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import structlog

from ledger.codec import from_base64url
from ledger.log.note import VerifierKey, open_note, parse_checkpoint
from node.startup import load_chain
from node.storage.log import LogStore
from node.storage.store import open_store
from tests.node.crash.disk import CrashPoint, Disk, Files
from tests.node.crash.recorder import Recording
from tests.node.crash.trade import make_trade
from tests.node.crash.whole import Whole, sum_lookups, sum_state
from tests.node.crash.witness import check_recovered, read_left
from tests.node.engine.town import LOG_SIGNER, RULEBOOK, Town

_TRIES = 6
"""So many draws a state that is wanted: of few pending writes there are few states."""
_POINTS_TOGETHER = 40
"""Shares take turns by so many crash points: states of neighbours are alike, and later ones take longer."""
_ASKED_AGAIN = 12
"""So many answered transactions of each state are looked up again, the newest first."""


class Lost(Exception):
    """A promise does not hold of a state."""


def check(whole: Whole, folder: Path, answers: list[dict[str, Any]]) -> int:
    """What is in the folder keeps every promise: the size it has. Raises `Lost`, or what opening raises."""
    cuts: list[int] = []
    cut = LogStore.cut_torn_tail

    def cut_and_tell(self: LogStore, **how: int) -> int:
        cuts.append(cut(self, **how))
        return cuts[-1]

    LogStore.cut_torn_tail = cut_and_tell  # type: ignore[method-assign]
    store = open_store(folder / "ledger.db", RULEBOOK)
    try:
        before = store.log.size
        note = store.log.read_note()
        if note is not None:
            check_note(whole, note[1], most=before)
        chain = load_chain(store, origin=whole.town.origin, signer=LOG_SIGNER, on_step=lambda _step: None)
        try:
            size = chain.head.size
            if cuts != [0] or size != max(before, len(whole.town.origin.leaves)):
                raise Lost(f"repaired: {before} leaves became {size}, {cuts} were cut")
            if store.log.read_leaves(0, size) != whole.leaves[:size] or size not in whole.sums:
                raise Lost("another log")
            check_note(whole, chain.checkpoint, most=size, least=size)
            found = sum_state(store), sum_lookups(store.lookups.list_rows())
            if found != whole.sums[size] or store.fold.read_mark() != size:
                raise Lost("another state")
            check_answers(answers, size)
            for line in answers[-_ASKED_AGAIN:]:
                header = msgspec.json.decode(store.log.read_leaf(line["index"]))["header"]
                again = chain.find_transaction(header["sender"], header["id"])
                wanted = line["height"], line["index"], line["time"], tuple(line["outcomes"])
                if again is None:
                    raise Lost("no answer")
                taken = again[1]
                if wanted != (
                    taken.height,
                    taken.index,
                    taken.time,
                    tuple(map(bytes.decode, taken.outcomes)),
                ):
                    raise Lost("another answer")
            for database in store._databases:
                ((verdict,),) = database.ask("PRAGMA integrity_check").all()
                if verdict != "ok":
                    raise Lost(verdict)
        finally:
            chain.close()
    finally:
        LogStore.cut_torn_tail = cut  # type: ignore[method-assign]
        store.close()
    return size


def check_answers(answers: list[dict[str, Any]], size: int) -> None:
    """What was answered stands in a log of this size."""
    for line in answers:
        if line["index"] + 1 + len(line["outcomes"]) > size:
            raise Lost(f"acknowledged, and gone: leaf {line['index']} of {size}")


def check_note(whole: Whole, text: str, *, most: int, least: int = 0) -> None:
    """It is signed over leaves that are there."""
    key = VerifierKey.for_log(whole.town.chain, from_base64url(whole.town.origin.settings.log_key, size=32))
    checkpoint = parse_checkpoint(open_note(text, [key]).body)
    if not least <= checkpoint.size <= most:
        raise Lost(f"signed over {checkpoint.size} leaves of {most}")
    if checkpoint.root != whole.root(checkpoint.size):
        raise Lost("signed over another log")


def write_files(folder: Path, files: Files) -> None:
    """The folder holds these files and no others."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)


class Search:
    """A share of the crash points of a recording, and what came of it."""

    def __init__(self, task: dict[str, Any], scratch: Path) -> None:
        self._task = task
        self._scratch = scratch
        self._town = Town(scratch / "ledger")
        self._folder = self._town.database.parent
        self._whole = Whole(self._town, Path(task["database"]))
        self._trade = make_trade(self._town, seed=task["seed"], count=task["count"])
        self._recording = msgspec.msgpack.decode(Path(task["recording"]).read_bytes(), type=Recording)
        self.seen: dict[bytes, int] = {}
        """State → the size it was found to have, or 0."""
        self.failures: list[str] = []
        self.points = self.traded = self._answers = 0

    def run(self) -> None:
        """Until there are as many states as are wanted, or too many failures."""
        task = self._task
        dropped = {
            each.file
            for each in self._recording.operations
            if (each.kind, each.name) == ("create", task["drops_syncs_of"])
        }
        disk = Disk(self._recording, is_dropped=lambda sync: sync.file in dropped)
        points = [
            point
            for number, point in enumerate(disk.list_points())
            if number // _POINTS_TOGETHER % task["shares"] == task["share"]
        ]
        for number, point in enumerate(points, start=1):
            disk.advance(point.place)
            self._look(disk, point, wanted=task["states"] * number // len(points) - len(self.seen))
            self.points += 1
            if len(self.failures) >= task["failures_max"]:
                break

    def _look(self, disk: Disk, point: CrashPoint, *, wanted: int) -> None:
        """So many states more of this crash point, if there are as many."""
        random = Random(f"{self._task['draws']}-{point.place}")
        diary = [each.line for each in self._recording.answers[: point.answers]]
        enough = len(self.seen) + wanted
        # Where more was answered, what was seen before is held against more, even if nothing new is wanted.
        least = 2 if point.answers > self._answers else 0
        self._answers = point.answers
        for draw in itertools.islice(disk.draw(random), max(least, wanted * _TRIES)):
            try:
                self._open(disk.rebuild(draw, random), diary)
            except Exception as error:  # noqa: BLE001 - this is what is looked for
                self.failures.append(f"{type(error).__name__}: {error} at {point.place}, {draw}"[:500])
                if len(self.failures) >= self._task["failures_max"]:
                    return
            if len(self.seen) >= enough:
                return

    def _open(self, files: Files, diary: list[dict[str, Any]]) -> None:
        state = _digest(files)
        answers = [line for line in diary if "outcomes" in line]
        if state in self.seen:
            # It was opened before, and came to what it comes to; but more may have been answered since.
            if self.seen[state]:
                check_answers(answers, self.seen[state])
            return
        self.seen[state] = 0
        write_files(self._folder, files)
        self.seen[state] = check(self._whole, self._folder, answers)
        if len(self.seen) % self._task["trades_every"] == 0:
            write_files(self._folder, files)
            left = read_left(self._town, self._scratch / "left")
            if left.leaves:
                check_recovered(self._town, self._trade, diary, left)
                self.traded += 1


def _digest(files: Files) -> bytes:
    whole = hashlib.sha256()
    for name, data in sorted(files.items()):
        whole.update(f"{name} {len(data)} ".encode())
        whole.update(data)
    return whole.digest()[:12]


def main() -> None:
    # Every start tells what it executed again; only what is worse is worth a line here.
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
    )
    task = json.loads(sys.argv[1])
    # Files in memory: these syncs need to reach no disk.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as scratch:
        search = Search(task, Path(scratch))
        search.run()
    found = {name: getattr(search, name) for name in ("failures", "points", "traded")}
    print(json.dumps({**found, "states": [state.hex() for state in search.seen]}))


if __name__ == "__main__":
    main()
