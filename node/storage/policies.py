"""The trust policies of a log in a data directory, read as of one moment, whether a node uses it or not.

What its records stand for is looked up; what was not folded yet is read leaf by leaf, and where there are no
views at all, so is the whole log. A directory is believed here as far as its owner believes it: that its log
executes is found by `commonpoint verify`, and by every start.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from contracts.mechanics.governance_records import PROPOSAL, TRUST, ProposalRecord, TrustPolicy
from ledger.enactments import Enacted, Enactments
from ledger.errors import InvariantBroken
from ledger.genesis import Origin
from ledger.log.merkle import compute_leaf_hashes
from ledger.log.tiles import TILE_WIDTH, decode_bundle
from ledger.policy_chain import PolicyChain
from node.enacted import take_leaves, take_proposals, take_records
from node.policies import POLICIES_FOLDER, extend, name_note
from node.storage.atomic import read_file
from node.storage.snapshot import Snapshot

_PROPOSAL: Final = msgspec.json.Decoder(ProposalRecord)
_TRUST: Final = msgspec.json.Decoder(TrustPolicy)


class SnapshotLog:
    """A snapshot as `node.enacted` and `node.proving` read a log."""

    def __init__(self, snapshot: Snapshot, origin: Origin) -> None:
        self._snapshot = snapshot
        self._origin = origin

    def read_leaves(self, first: int, end: int) -> list[bytes]:
        """The leaves. Raises `InvariantBroken` where one is missing."""
        found: list[bytes] = []
        place = first
        while place < end:
            number, skipped = divmod(place, TILE_WIDTH)
            width = min(TILE_WIDTH, end - number * TILE_WIDTH)
            leaves = decode_bundle(self._snapshot.read_bundle(number, width) or b"")[:width]
            if len(leaves) != width:
                raise InvariantBroken("LEAVES_MISSING", index=number * TILE_WIDTH + len(leaves), end=end)
            found += leaves[skipped:]
            place = number * TILE_WIDTH + width
        return found

    def find_bounds(self, height: int) -> tuple[int, int]:
        """The block's first leaf and its last. Raises `InvariantBroken`."""
        last = self._snapshot.find_block(height)
        before = self._snapshot.find_block(height - 1) if height > 1 else len(self._origin.leaves) - 1
        if last is None or before is None:
            raise InvariantBroken("BLOCK_MISSING", height=height)
        return before + 1, last

    def find_proposal(self, proposal: str) -> int:
        """The entry that proposed it. Raises `InvariantBroken`."""
        for key, value in self._snapshot.find_records(PROPOSAL, proposal):
            if key == proposal:
                return _PROPOSAL.decode(value).index
        raise InvariantBroken("PROPOSAL_MISSING", proposal=proposal)

    def read_tile(self, level: int, index: int, width: int) -> bytes | None:
        """A hash tile; only full ones are stored, and the lowest are made from leaves."""
        if level == 0 and width < TILE_WIDTH:
            first = index * TILE_WIDTH
            return b"".join(compute_leaf_hashes(self.read_leaves(first, first + width)))
        return self._snapshot.read_tile(level, index, width)


def find_enacted(snapshot: Snapshot, origin: Origin, *, size: int) -> list[Enacted]:
    """Every policy that the first ``size`` leaves enact, and where. Raises `InvariantBroken`."""
    log = SnapshotLog(snapshot, origin)
    enactments = Enactments()
    folded = min(snapshot.read_mark() or len(origin.leaves), size)
    # What is proposed by then may be enacted by a block that is not folded.
    take_proposals(enactments, log, (_PROPOSAL.decode(value) for _, value in snapshot.list_records(PROPOSAL)))
    records = [_TRUST.decode(value) for _, value in snapshot.list_records(TRUST)]
    take_records(enactments, log, [each for each in records if log.find_bounds(each.height)[1] < folded])
    take_leaves(enactments, log, folded, size)
    return enactments.found


def learn_stored_policies(snapshot: Snapshot, origin: Origin) -> PolicyChain:
    """Every policy of the stored log, whether anything hands over to it or not."""
    return PolicyChain.of_origin(origin).learn_all(find_enacted(snapshot, origin, size=snapshot.read_size()))


def prove_stored_policies(snapshot: Snapshot, origin: Origin, directory: Path) -> PolicyChain:
    """Those that a kept checkpoint, or the newest, hands over to; with their steps."""
    chain = PolicyChain.of_origin(origin)
    log = SnapshotLog(snapshot, origin)
    for epoch, enacted in enumerate(find_enacted(snapshot, origin, size=snapshot.read_size()), 1):
        kept = read_file(directory / POLICIES_FOLDER / name_note(epoch))
        notes = [snapshot.read_checkpoint()] if kept is None else [kept.decode(), snapshot.read_checkpoint()]
        if extend(chain, log, enacted, notes) is None:
            break
    return chain
