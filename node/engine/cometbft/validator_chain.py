"""The chain as a validator keeps it: that of any node, but that it makes no checkpoint for a block after
which no policy lists this node's log key.

Somebody who joins later executes blocks that were decided before its key was listed; somebody who was voted
out executes a few that are decided after. Both have to go on, since their engine may be asked. Meanwhile
readers see the last head that this node could sign, and nothing new is taken here: `is_silent`.

Blocks that no checkpoint of ours vouches for are vouched for by the others: CometBFT holds the root that this
node comes to against the one that more than two thirds of the validators have signed, also after a start.
Nothing is decided here about who is listed; that is the trust policy's matter.
"""

from __future__ import annotations

from typing import Any

import structlog

from contracts.mechanics.log_keys import find_epoch, find_log_keys, list_log_keys, list_policies
from ledger.codec import to_base64url
from ledger.executor import Head
from ledger.genesis import Origin
from ledger.leaves import BLOCK_LEAF_DECODER, BLOCK_START
from ledger.log import merkle
from ledger.log.note import sign_checkpoint
from node.chain import ChainKeeper
from node.storage.store import Store

log = structlog.get_logger()


class ValidatorChain(ChainKeeper):
    """State, log, tree and checkpoint of a ledger whose blocks several decide."""

    is_vouched_elsewhere = True

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self._listed: dict[int, bool] = {}
        """By epoch: policies that were enacted stay as they are."""
        self.is_silent = False
        """Whether readers see an older head than the newest, or the next block is not ours to sign over."""
        if self._signed_size < 0 and not self._is_listed(height=0):
            # Something to begin with, over what everybody knows: no client accepts this key for it.
            size = len(self.origin.leaves)
            root = self.compute_root(size)
            self.checkpoint = sign_checkpoint(
                origin=self.origin.chain, size=size, root=root, signer=self._signer
            )
            self._signed_size = size
        if 0 <= self._signed_size < self._head.size:
            # Folds may be ahead of the last checkpoint; readers are not.
            self._head = _read_head(self.store, self.origin, size=self._signed_size)

    @property
    def was_listed(self) -> bool:
        """Whether any policy so far, the genesis's too, lists this node's log key."""
        return self._signer.public in list_log_keys(list_policies(self.reader), self.origin)

    def show_head(self) -> None:
        """Readers see the head of what was executed, where this node may sign it; else the one before."""
        head = self.executor.head
        if is_shown := self._signed_size == head.size or self._is_listed(height=head.height):
            super().show_head()
        is_silent = not (is_shown and self._is_listed(height=head.height + 1))
        if is_silent != self.is_silent:
            self.is_silent = is_silent
            self._tell(height=head.height)

    def check_signer(self) -> None:
        """Whoever keeps a validator's chain may go on without signing."""

    def _is_listed(self, *, height: int) -> bool:
        """Whether this node's key may sign the checkpoint after the block of this height."""
        records = list_policies(self.reader)
        epoch = find_epoch(records, height)
        if epoch not in self._listed:
            keys = find_log_keys(records, self.origin, height=height)
            self._listed[epoch] = self._signer.public in keys
        return self._listed[epoch]

    def _tell(self, *, height: int) -> None:
        if self.is_silent:
            log.warning(
                "no policy lists this node's log key: it signs, takes and shows nothing new",
                height=height,
                shown=self._head.height,
                key=self._signer.key_id,
            )
        else:
            log.info("this node's log key is listed, and signs", height=height)


def _read_head(store: Store, origin: Origin, *, size: int) -> Head:
    """The head that the log had at this size, as its last block leaf tells it."""
    leaf = store.log.read_leaf(size - 1)
    if not leaf.startswith(BLOCK_START):
        return Head(0, origin.settings.time, size, origin.previous, 0, 0, 0)
    block = BLOCK_LEAF_DECODER.decode(leaf)
    counts = block.totals.accepted, block.totals.entries, block.totals.transactions
    previous = to_base64url(merkle.leaf_hash(leaf))
    return Head(block.height, block.time, size, previous, *counts)
