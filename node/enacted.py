"""The trust policies that a stored log has enacted, found without reading all of it.

The state's records name the heights at which a policy was enacted; the leaves of those blocks, and of the
proposals that they enact, say the rest (`ledger.enactments`). Leaves that no records stand for yet are read
one after the other.

Only places are looked up here. Each leaf is taken from the log itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from typing import Any, Protocol

from contracts.mechanics.governance_records import PROPOSAL, ProposalRecord, TrustPolicy
from contracts.messages.actions import SetTrustPolicy
from ledger.enactments import Enacted, Enactments, read_enactment
from ledger.errors import InvariantBroken, Unverified
from ledger.genesis import Origin
from ledger.leaves import SYSTEM_START
from ledger.log.tiles import TILE_WIDTH


class StoredLog(Protocol):
    """Where leaves are read, and records say which."""

    def read_leaves(self, first: int, end: int) -> list[bytes]:
        """The leaves [first, end)."""
        ...

    def find_bounds(self, height: int) -> tuple[int, int]:
        """Index of the first leaf of this height's block, and of its block leaf."""
        ...

    def find_proposal(self, proposal: str) -> int:
        """Index of the entry that proposed it."""
        ...


class Places:
    """A log and the records over it, as a running node has them."""

    def __init__(
        self,
        *,
        origin: Origin,
        size: int,
        read_leaves: Callable[[int, int], list[bytes]],
        find_block: Callable[[int], tuple[int, int, int] | None],
        get_record: Callable[[str, str], Any],
    ) -> None:
        self._genesis_size = len(origin.leaves)
        self._size = size
        self.read_leaves = read_leaves
        self._find_block = find_block
        self._get_record = get_record

    def find_bounds(self, height: int) -> tuple[int, int]:
        """The block's first leaf and its last."""
        last = self._find_last(height)
        return (self._find_last(height - 1) + 1 if height > 1 else self._genesis_size), last

    def find_proposal(self, proposal: str) -> int:
        """The entry that proposed it."""
        record: ProposalRecord = self._get_record(PROPOSAL, proposal)
        return record.index

    def _find_last(self, height: int) -> int:
        """The index of the block leaf of this height, which the head has reached."""
        low, high = self._genesis_size, self._size - 1
        while low <= high:
            middle = (low + high) // 2
            block = self._find_block(middle)
            if block is None:
                break
            if block[1] == height:
                return block[0]
            if block[1] < height:
                low = block[0] + 1
            else:
                high = middle - 1
        raise InvariantBroken("BLOCK_MISSING", height=height)


def list_enacted(log: StoredLog, records: Sequence[TrustPolicy]) -> list[Enacted]:
    """Every policy of an executed log, and where it was enacted: epoch 1 first."""
    enactments = Enactments()
    take_records(enactments, log, records)
    return enactments.found


def take_records(enactments: Enactments, log: StoredLog, records: Sequence[TrustPolicy]) -> None:
    """What these records say was enacted is known from the log too, and nothing else.

    Raises `InvariantBroken` where log and records differ.
    """
    before = len(enactments.found)
    for height in dict.fromkeys(record.height for record in records):
        _take_block(enactments, log, height)
    found = [each.text for each in enactments.found[before:]]
    if found != [record.policy for record in records]:
        raise InvariantBroken("POLICY_NOT_ENACTED", expected=len(records), found=len(found))


def take_proposals(enactments: Enactments, log: StoredLog, proposals: Iterable[ProposalRecord]) -> None:
    """Those of these proposals that set policies are known, should a later leaf enact one."""
    for each in proposals:
        if any(isinstance(action, SetTrustPolicy) for action in each.actions):
            enactments.take(each.index, log.read_leaves(each.index, each.index + 1)[0])


def _take_block(enactments: Enactments, log: StoredLog, height: int) -> None:
    first, last = log.find_bounds(height)
    leaves = log.read_leaves(first, last + 1)
    # Enactments stand before everything else of their block.
    for index, leaf in enumerate(takewhile(lambda leaf: leaf.startswith(SYSTEM_START), leaves), first):
        proposal = _read_proposal_of(leaf)
        if proposal is not None:
            place = log.find_proposal(proposal)
            enactments.take(place, log.read_leaves(place, place + 1)[0])
        enactments.take(index, leaf)
    enactments.take(last, leaves[-1])


def take_leaves(enactments: Enactments, log: StoredLog, first: int, end: int) -> None:
    """What the leaves [first, end) enact is known."""
    while first < end:
        until = min(end, first - first % TILE_WIDTH + TILE_WIDTH)
        enactments.take_all(first, log.read_leaves(first, until))
        first = until


def _read_proposal_of(leaf: bytes) -> str | None:
    """The proposal that this leaf enacts; None where it does something else, or it was turned down."""
    try:
        return read_enactment(leaf)
    except Unverified:
        return None
