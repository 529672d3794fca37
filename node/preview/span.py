"""From where on a history is replayed as proposed: since the last window was cut, or as far back as is asked.

The log is looked at from its end, because what is asked about is recent. Nothing found here is believed: the
replay that follows goes through every leaf, and holds the proposal that was found against the one it makes
itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from contracts.messages import MESSAGE_DECODER, Propose
from contracts.messages.reject_codes import OK
from ledger.calendar import MILLIS_PER_DAY
from ledger.codec import decode_shape
from ledger.errors import CommonpointError, Unverified
from ledger.leaves import (
    BLOCK_LEAF_DECODER,
    BLOCK_START,
    ENTRY_DECODER,
    ENTRY_START,
    SYSTEM_START,
    BlockLeaf,
)
from ledger.log.tiles import TILE_WIDTH, decode_bundle
from node.audit.sources import LeafSource

GROUP_BUNDLES: Final = 64
"""So many bundles are read forwards before they are looked at backwards: a served log reads ahead."""
_CUT_START: Final = SYSTEM_START + b'"message":{"@type":"cut",'
_PROPOSE_START: Final = ENTRY_START + b'"message":{"@type":"propose",'


class NoPreview(CommonpointError):
    """There is nothing that could be replayed as proposed."""

    _ADVICE: Final = {
        "NOTHING_TO_REPLAY": "Begin earlier: --blocks, --days or --from-height.",
        "PROPOSAL_UNKNOWN": "commonpoint proposal show lists them; or name a file of actions.",
        "RULEBOOK_UNKNOWN": "Install a version of this program that knows these rules, and preview with it.",
    }

    @property
    def advice(self) -> str | None:
        """What can be done about it."""
        return self._ADVICE.get(self.code)


class Beginning(NamedTuple):
    """Where the replay begins to differ: the first that is given; with none, since the last cut."""

    height: int | None = None
    blocks: int | None = None
    """So many of the newest."""
    days: int | None = None
    """Every block of the last so many days, counted from the newest."""


class _Code(Struct):
    code: str


_OUTCOME: Final = msgspec.json.Decoder(_Code)


def read_backwards(source: LeafSource, size: int) -> Iterator[bytes]:
    """The log's first ``size`` leaves, the newest first. Raises `Unverified` where a bundle is broken."""
    bundles = -(-size // TILE_WIDTH)
    for end in range(bundles, 0, -GROUP_BUNDLES):
        group: list[bytes] = []
        for index in range(max(0, end - GROUP_BUNDLES), end):
            width = min(TILE_WIDTH, size - index * TILE_WIDTH)
            data = source.read_bundle(index, width)
            leaves = [] if data is None else decode_bundle(data)
            if len(leaves) != width:
                raise Unverified("LEAVES_MISSING", bundle=index, expected=width, found=len(leaves))
            group += leaves
        yield from reversed(group)


def find_first_height(source: LeafSource, size: int, beginning: Beginning) -> int:
    """The height of the first block that is replayed as proposed. Raises `NoPreview` where there is none."""
    newest: BlockLeaf | None = None
    first = height = 1
    for leaf in read_backwards(source, size):
        if leaf.startswith(BLOCK_START):
            block = decode_shape(leaf, BLOCK_LEAF_DECODER)
            if newest is None:
                newest = block
                if beginning.height is not None:
                    first = beginning.height
                    break
                if beginning.blocks is not None:
                    first = max(1, block.height - beginning.blocks + 1)
                    break
            if beginning.days is not None and block.time < newest.time - beginning.days * MILLIS_PER_DAY:
                first = block.height + 1
                break
            height = block.height
        elif beginning.days is None and leaf.startswith(_CUT_START):
            # A cut stands in the block whose leaf was met just before: the first of the open window.
            first = height
            break
    if newest is None or not 1 <= first <= newest.height:
        raise NoPreview("NOTHING_TO_REPLAY", first=first, newest=newest.height if newest else 0)
    return first


def find_proposal(source: LeafSource, size: int, proposal: str) -> Propose:
    """The proposal of this name that the ledger took. Raises `NoPreview` ``PROPOSAL_UNKNOWN``."""
    # A name can stand in other messages too; reading the message decides.
    name = b'"proposal":"%b"' % proposal.encode()
    for leaf in read_backwards(source, size):
        if leaf.startswith(_PROPOSE_START) and name in leaf:
            entry = decode_shape(leaf, ENTRY_DECODER)
            message = decode_shape(bytes(entry.message), MESSAGE_DECODER)
            is_taken = decode_shape(bytes(entry.outcome), _OUTCOME).code == OK
            if is_taken and isinstance(message, Propose) and message.proposal == proposal:
                return message
    raise NoPreview("PROPOSAL_UNKNOWN", proposal=proposal)
