"""Whether a node takes transactions now and blocks are made of them; and if not, why. This is what `/readyz`
says, whichever of a node's processes is asked.

Only what is known here and now counts. A validator learns that it is cut off from what its engine hears of
the others (`node.engine.cometbft.reaching`), also while nobody has anything to submit: an idle chain makes no
blocks either way.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

from node.disk_space import DiskSpace
from node.engine.interface import Engine
from node.mempool import Mempool

WAIT_SECONDS_MAX: Final = 15.0
"""What was taken is in a block long before that, wherever blocks are made at all."""


class Readiness:
    """That part of a core."""

    _engine: Engine
    _is_told: bool
    _mempool: Mempool

    @property
    def is_ready(self) -> bool:
        """Whether intake is open."""
        return self._engine.is_open

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is taken here now: others make the blocks, and this node only answers reads."""
        return self._engine.is_at_rest

    @cached_property
    def disk(self) -> DiskSpace:
        """How much room there is: where it runs out nothing new is taken (`node.disk_space`)."""
        return DiskSpace()

    def find_rest(self) -> str | None:
        """Why a transaction sent now would not get into a block soon; None where it would."""
        if not self.is_ready or self._mempool.is_closed:
            return "intake is closed"
        if self.is_at_rest:
            return "validators make the blocks, and this node none"
        if self.disk.is_low:
            return "the disk is nearly full"
        # Where time is told, blocks wait for whoever tells it.
        if not self._is_told and self._mempool.waited_seconds > WAIT_SECONDS_MAX:
            return "no block takes what waits: too few validators answer, or this node has stalled"
        return self._find_engine_rest()

    def _find_engine_rest(self) -> str | None:
        return self._engine.find_rest()
