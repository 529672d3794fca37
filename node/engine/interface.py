"""What a node asks of its engine, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ledger.executor import ExecutedBlock, Head
from node.chain import ChainKeeper
from node.mempool import Mempool


class Engine(Protocol):
    """Takes what waits in a mempool, and sees to it that blocks are made."""

    failure: BaseException | None
    """Over what it stopped for good."""

    @property
    def is_open(self) -> bool:
        """Whether what is submitted will be answered."""
        ...

    @property
    def is_at_rest(self) -> bool:
        """Whether others make the blocks, and nothing is taken here."""
        ...

    @property
    def misbehaviour(self) -> int:
        """How often whoever makes the blocks was caught signing two of one height."""
        ...

    def find_rest(self) -> str | None:
        """Why no block would be made of what is sent now; None where nothing is known to be in its way."""
        ...

    def start(self) -> None:
        """Blocks are made from now on."""
        ...

    def cut(self, time: int) -> Head:
        """One block of everything that waits, at the time told: where time is told."""
        ...

    def close_intake(self) -> None:
        """What waits is told to come again, and nothing more is taken."""
        ...

    def stop(self) -> None:
        """Intake closes; what is in hand is finished and answered, all of it folded."""
        ...


class EngineMaker(Protocol):
    """Makes the engine of a chain that was opened."""

    def __call__(
        self,
        chain: ChainKeeper,
        mempool: Mempool,
        *,
        clock: Callable[[], int],
        on_failure: Callable[[], None],
        on_block: Callable[[float, ExecutedBlock], None],
    ) -> Engine:
        """The engine, not started yet."""
        ...
