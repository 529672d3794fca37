"""Stages: where the processor time of a node goes, in microseconds an operation.

The real functions are wrapped, every one of them on whatever thread it runs, with that thread's own processor
clock; time in a stage within a stage counts for the inner one alone. What the wrapping itself costs is
measured first and taken off again. Waiting, for the disk or for the interpreter's lock, is no processor time
and appears nowhere. What the node does in processes of its own is one line, and what is left of the kernel's
count another.

Functions are found by name when a profile begins. One that is not there any more is told, and its time stands
in the stage around it.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Final

from scripts.measure.process import get_cpu_seconds

STAGES: Final = {
    "decode + digest": (
        "ledger.transaction:TransactionDecoder.decode",
        "ledger.transaction:check_contents",
    ),
    "signatures": ("ledger.keys:is_valid_signature",),
    "admission": (
        "node.core:NodeCore.submit",
        "ledger.admission:check_authority",
        "ledger.admission:check_repeat",
        "node.mempool:Mempool.take",
    ),
    "prefetch": ("ledger.state:State.prefetch", "ledger.executor:Executor._list_reads"),
    "load from views": ("node.storage.fold:FoldStore.load",),
    "execute: rules": ("ledger.block:BlockInHand.take",),
    "encode leaves": (
        "ledger.leaves:encode_entry",
        "ledger.leaves:encode_transaction_leaf",
        "ledger.leaves:encode_block_leaf",
    ),
    "block: due work, leaf hashes, sums": ("ledger.executor:Executor.execute_block",),
    "hash tree": ("ledger.log.tiles:HashTree.extend",),
    "append": ("node.storage.log:LogStore.append",),
    "commit state": ("ledger.state:State.commit",),
    "read back": ("node.storage.log:LogStore.check_read_back",),
    "sign checkpoint": ("node.chain:ChainKeeper.show_head",),
    "gather for the fold": ("node.folding:Folder.gather",),
    "gather look-ups": (
        "node.storage.lookups:RecentBlocks.add_block",
        "node.storage.lookups:LookupRows.add",
    ),
    "fold: encode": ("node.storage.fold:FoldStore.fold",),
    "fold: write": (
        "node.storage.sqlite:SqliteDatabase.put",
        "node.storage.sqlite:SqliteDatabase.remove",
        "node.storage.sweep:Sweep.run",
    ),
    "fold: look-ups": ("node.storage.lookups:LookupRows.write",),
    "fold: make room": ("node.folding:Folder.finish", "node.folding:Folder.start"),
    "answer": ("node.engine.solo:SoloEngine._answer",),
}
CHILDREN: Final = "processes of its own"
REST: Final = "everything else (driver, threads, garbage collector)"
_TRIALS: Final = 20_000
_ROOMS: Final = ("ledger", "contracts", "node")


class Stages:
    """Wraps the functions above for the rest of this process."""

    def __init__(self, places: Mapping[str, Sequence[str]] = STAGES) -> None:
        self._local = threading.local()
        self._lock = threading.Lock()
        self._threads: list[_Tally] = []
        self._inner, self._outer = self._calibrate()
        for stage, names in places.items():
            for place in names:
                if not self._wrap(stage, place):
                    print(f"  (not found, so counted in the stage around it: {place})", flush=True)
        self._cpu = self._own = 0.0

    def begin(self) -> None:
        """From here on it counts."""
        with self._lock:
            for tally in self._threads:
                tally.clear()
        self._cpu, self._own = get_cpu_seconds(os.getpid()), time.process_time()

    def tell(self, operations: int) -> dict[str, float]:
        """Microseconds an operation by stage, and the rest."""
        own = time.process_time() - self._own
        children = get_cpu_seconds(os.getpid()) - self._cpu - own
        found = {}
        overhead = 0.0
        for stage in dict.fromkeys([*STAGES, *(name for tally in self._threads for name in tally.calls)]):
            seconds = sum(tally.seconds[stage] for tally in self._threads)
            calls = sum(tally.calls[stage] for tally in self._threads)
            within = sum(tally.within[stage] for tally in self._threads)
            # A call's own reading of the clock lies inside it; what comes before and after it lies in the
            # stage around it.
            found[stage] = seconds - calls * self._inner - within * self._outer
            overhead += calls * (self._inner + self._outer)
        found[REST] = own - overhead - sum(found.values())
        found[CHILDREN] = max(0.0, children)
        return {stage: round(seconds / operations * 1_000_000, 3) for stage, seconds in found.items()}

    def _wrap(self, stage: str, place: str) -> bool:
        module_name, _, path = place.partition(":")
        try:
            owner: Any = importlib.import_module(module_name)
            *names, last = path.split(".")
            for name in names:
                owner = getattr(owner, name)
            real = owner.__dict__[last] if names else getattr(owner, last)
        except (ImportError, AttributeError, KeyError):
            return False
        timed = self.wrap(stage, real)
        setattr(owner, last, timed)
        if not names:
            self._replace_imports(real, timed)
        return True

    @staticmethod
    def _replace_imports(real: Any, timed: Any) -> None:
        """Modules that imported a function by its name get the wrapped one."""
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] in _ROOMS:
                for attribute, value in list(vars(module).items()):
                    if value is real:
                        setattr(module, attribute, timed)

    def wrap(self, stage: str, real: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose time from now on counts for the stage."""
        clock = time.thread_time
        get_tally = self._get_tally

        @wraps(real)
        def timed(*arguments: Any, **named: Any) -> Any:
            tally = get_tally()
            outer, tally.current, tally.inside = (tally.current, tally.inside), stage, 0.0
            started = clock()
            try:
                return real(*arguments, **named)
            finally:
                spent = clock() - started
                tally.seconds[stage] += spent - tally.inside
                tally.calls[stage] += 1
                tally.current = outer[0]
                tally.within[outer[0]] += 1
                tally.inside = outer[1] + spent

        return timed

    def _get_tally(self) -> _Tally:
        tally: _Tally | None = getattr(self._local, "tally", None)
        if tally is None:
            tally = self._local.tally = _Tally()
            with self._lock:
                self._threads.append(tally)
        return tally

    def _calibrate(self) -> tuple[float, float]:
        """Seconds that a wrapped call adds inside and outside of what it times."""
        timed = self.wrap("", _do_nothing)

        def bare() -> float:
            started = time.thread_time()
            for _ in range(_TRIALS):
                _do_nothing()
            return (time.thread_time() - started) / _TRIALS

        plain = bare()
        started = time.thread_time()
        for _ in range(_TRIALS):
            timed()
        whole = (time.thread_time() - started) / _TRIALS
        tally = self._get_tally()
        inner = max(0.0, tally.seconds[""] / _TRIALS - plain)
        tally.clear()
        return inner, max(0.0, whole - plain - inner)


class _Tally:
    """One thread's counts."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Nothing was counted."""
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: defaultdict[str, int] = defaultdict(int)
        self.within: defaultdict[str, int] = defaultdict(int)
        """Wrapped calls made directly inside of a stage."""
        self.current = ""
        self.inside = 0.0
        """Seconds of the calls inside of the current one."""


def _do_nothing() -> None:
    """What a call costs by itself."""
