"""The core of a follower: what any node answers, from a chain that others make, and no transaction taken.

Reads answer for the newest checkpoint that was executed up to. While a longer stretch is executed, reads of
records wait for its end or are told to come again, as reads that blocks overtake are on any node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future

from ledger.errors import CommonpointError, Refused
from ledger.executor import ExecutedBlock, Head
from ledger.transaction import Transaction, TransactionDecoder
from node.answers import Taken
from node.core import NodeCore, get_system_time, make_policy
from node.follower.following import Follower
from node.mempool import Mempool


class FollowerCore(NodeCore):
    """One ledger that is followed."""

    def __init__(self, follower: Follower, *, clock: Callable[[], int] = get_system_time) -> None:
        # Not as a node that makes blocks begins: there is no engine.
        chain = follower.chain
        self._follower = follower
        self._chain = chain
        self._is_told = chain.origin.settings.clock == "simulated"
        self._clock = clock
        self._mempool = Mempool(charge=lambda _sender, _messages: None)
        self._decoder = TransactionDecoder(chain.executor.rulebook.message_type)
        self.origin = chain.origin
        self.chain = chain.origin.chain
        self.vkey, self.policy = make_policy(chain.origin)
        self.on_block = lambda _seconds, _block: None
        self.on_failure = lambda: None
        self.charge = lambda _sender, _messages: None
        self.disk = follower.disk
        self.on_moved: Callable[[], None] = lambda: None
        """Called when readers see a new head, or new lines under the same."""
        self._unshown: list[tuple[float, ExecutedBlock]] = []
        # Through this core, whose listeners are set later.
        follower.on_block = self._hear_block
        follower.on_shown = self._hear_shown
        follower.on_failure = self._hear_failure

    def _hear_block(self, seconds: float, block: ExecutedBlock) -> None:
        # Of the block itself others hear when readers see it; its leaves are in the log.
        self._unshown.append((seconds, block._replace(leaves=[])))

    def _hear_shown(self) -> None:
        unshown, self._unshown = self._unshown, []
        if unshown:
            self.on_block(sum(seconds for seconds, _ in unshown), _join([block for _, block in unshown]))
        elif self.on_cosigned is not None:
            self.on_cosigned(self._chain.checkpoint)
        self.on_moved()

    def _hear_failure(self) -> None:
        self.on_failure()

    @property
    def halted(self) -> CommonpointError | None:
        """Why following has ended, where it has."""
        return self._follower.failure

    @property
    def is_ready(self) -> bool:
        """Whether it follows, and has come as far as its sources at least once."""
        return self._follower.is_following

    @property
    def is_at_rest(self) -> bool:
        """It follows whoever makes the blocks."""
        return False

    @property
    def misbehaviour(self) -> int:
        """The validators count it."""
        return 0

    def _find_engine_rest(self) -> str | None:
        return None

    def admit(self, transaction: Transaction) -> Future[Taken]:
        """What is in the log is answered as it was the first time; nothing new is taken.

        Raises `Refused` ``NOT_READY``, with the address that takes transactions where one is known.
        """
        header = transaction.header
        known = self.find_transaction(header.sender, header.id)
        if known is not None and self._is_repeat(transaction, known):
            done: Future[Taken] = Future()
            done.set_result(known[1])
            return done
        leader = self._follower.sources.leader
        facts = {} if leader is None else {"leader": leader}
        raise Refused("NOT_READY", reason="this node follows and takes no transactions", **facts)

    def cut_block(self, time: int) -> Head:  # noqa: ARG002 - whoever tells it is refused
        """Blocks are others'."""
        raise Refused("NOT_FOUND")

    def close_intake(self) -> None:
        """It was never open."""

    def stop(self) -> None:
        """The block in hand is finished, all of it folded, the database closed."""
        try:
            self._follower.stop()
        finally:
            self._chain.close()
            self._chain.store.close()


def _join(blocks: Sequence[ExecutedBlock]) -> ExecutedBlock:
    """Blocks that readers see at once, as one without its leaves: a checkpoint stands for all of them."""
    last = blocks[-1]
    return last._replace(
        first=blocks[0].first,
        leaf_hashes=[leaf_hash for block in blocks for leaf_hash in block.leaf_hashes],
        answers=[answer for block in blocks for answer in block.answers],
        system=[message for block in blocks for message in block.system],
    )
