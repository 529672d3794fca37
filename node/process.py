"""The process a node runs in: what is set once for all of it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
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
