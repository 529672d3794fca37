"""Whether a node takes transactions now and blocks are made of them; and if not, why. This is what `/readyz`
says, whichever of a node's processes is asked.

Only what is known here and now counts. A validator that is cut off from the others while nobody has anything
to submit does not notice, and says that it is ready: an idle chain makes no blocks either way.
"""

from __future__ import annotations

from typing import Final, Protocol

from node.disk_space import DiskSpace
from node.mempool import Mempool

WAIT_SECONDS_MAX: Final = 15.0
"""What was taken is in a block long before that, wherever blocks are made at all."""


class Standing(Protocol):
    """What is asked of a core."""

    _is_told: bool
    _mempool: Mempool

    @property
    def is_ready(self) -> bool:
        """Whether intake is open."""
        ...

    @property
    def is_at_rest(self) -> bool:
        """Whether other nodes make the blocks now."""
        ...

    @property
    def disk(self) -> DiskSpace:
        """How much room there is."""
        ...


class Readiness:
    """That part of a core."""

    def find_rest(self: Standing) -> str | None:
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
        return None
