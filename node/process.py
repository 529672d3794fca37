"""The process a node runs in: what is set once for all of it."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

_YOUNG_MAX: Final = 50_000
_MIDDLE_MAX: Final = 50
_OLD_MAX: Final = 100


def tame_garbage_collector() -> None:
    """What is in memory is looked through no more, and what comes less often.

    A node's records hold no cycles and live long: the collector's default, a look after every 700 objects,
    costs some per cent of a block and finds nothing. Cycles that libraries make are still found.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_MAX, _MIDDLE_MAX, _OLD_MAX)


@contextmanager
def pause_garbage_collector() -> Iterator[None]:
    """Millions of records are made and no cycles: looking for garbage meanwhile would only cost time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def work_in_long_turns() -> None:
    """This process, and whatever it starts from here on, wakes up without taking the processor from who is at
    work.

    A validator is five processes that wake each other several hundred times a second: the node, its checker
    and its folder, CometBFT and their keeper. Where they share processors, each interruption of who executes
    a block costs it what the processor had at hand. Only Linux can do that (SCHED_BATCH), and where it may
    not nothing is lost but speed.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
