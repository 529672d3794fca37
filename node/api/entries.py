"""Entries: from an index to the leaf, the transaction it belongs to, and whom it concerns.

An entry names its transaction by a tag only. The entries of one transaction stand side by side, so the
transaction leaf is found by asking ever further back who carries the same tag, then between: a dozen looks
for the largest transaction. That the tag fits the leaf found is checked, since everything shown here may be
kept as evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Raw

from contracts.mechanics.records import MEMBER, PROGRAM
from contracts.messages import MESSAGE_DECODER, SystemMessage
from ledger.codec import encode
from ledger.errors import InvariantBroken, Refused
from ledger.leaves import (
    ENTRY_DECODER,
    ENTRY_START,
    SYSTEM_DECODER,
    SYSTEM_START,
    TRANSACTION_LEAF_DECODER,
    TRANSACTION_START,
    compute_tag,
)
from ledger.log.note import parse_checkpoint, split_note
from ledger.log.tiles import TILE_WIDTH
from ledger.log.tlog_proof import format_tlog_proof
from ledger.outcome import Outcome
from ledger.receipt import Receipt
from ledger.values import MESSAGES_MAX
from node.access import Concerned, Role, can_read_entry, get_concerned
from node.api.core import Core
from node.api.view import View
from node.proving import prove_leaves

_SYSTEM_MESSAGE: Final = msgspec.json.Decoder(SystemMessage)
_OUTCOME: Final = msgspec.json.Decoder(Outcome)


class Found(NamedTuple):
    """An entry, with the leaf of its transaction where it has one."""

    place: int
    leaf: bytes
    transaction: bytes | None
    concerned: Concerned


class Decoded(NamedTuple):
    """An entry's leaf, read."""

    message: Any
    outcome: Outcome
    tag: str | None
    """That of its transaction; None for work a block did by itself."""


class Leaves:
    """Leaves by index, read a bundle at a time and kept for one request."""

    def __init__(self, core: Core, size: int) -> None:
        self._core = core
        self._size = size
        self._bundles: dict[int, list[bytes]] = {}

    def get(self, index: int) -> bytes:
        """The leaf."""
        number, place = divmod(index, TILE_WIDTH)
        bundle = self._bundles.get(number)
        if bundle is None:
            first = number * TILE_WIDTH
            bundle = self._core.read_leaves(first, min(first + TILE_WIDTH, self._size))
            self._bundles[number] = bundle
        return bundle[place]


def find_entry(view: View, index: int, role: Role) -> Found:
    """The entry, where it is one and concerns the asker. Raises `Refused` ``NOT_FOUND`` in every other
    case.
    """
    found = _find(view, index)
    if found is None or not can_read_entry(role, found.concerned):
        raise Refused("NOT_FOUND")
    return found


def _find(view: View, index: int) -> Found | None:
    if not 0 <= index < view.head.size:
        return None
    leaves = Leaves(view.core, view.head.size)
    leaf = leaves.get(index)
    entry = decode_entry(leaf)
    if entry is None:
        return None
    transaction = None if entry.tag is None else find_transaction(leaves, index, entry.tag)
    concerned = find_concerned(entry, transaction=transaction, get=view.get)
    return Found(index, leaf, transaction, concerned)


def decode_entry(leaf: bytes) -> Decoded | None:
    """The entry in a leaf; None for genesis, transaction and block leaves, which are no entries."""
    if leaf.startswith(SYSTEM_START):
        system = SYSTEM_DECODER.decode(leaf)
        return Decoded(_SYSTEM_MESSAGE.decode(system.message), _OUTCOME.decode(system.outcome), None)
    if leaf.startswith(ENTRY_START):
        entry = ENTRY_DECODER.decode(leaf)
        return Decoded(MESSAGE_DECODER.decode(entry.message), _OUTCOME.decode(entry.outcome), entry.tag)
    return None


def find_concerned(entry: Decoded, *, transaction: bytes | None, get: Callable[[str, str], Any]) -> Concerned:
    """Whom an entry concerns, as the registry stands; ``get`` answers with a record or None."""
    sender = None if transaction is None else TRANSACTION_LEAF_DECODER.decode(transaction).header.sender
    return get_concerned(
        sender=sender,
        message=entry.message,
        outcome=entry.outcome,
        get_issuer=lambda program: getattr(get(PROGRAM, program), "issuer", None),
        get_custodian=lambda member: getattr(get(MEMBER, member), "custodian", None),
    )


def find_transaction(leaves: Leaves, index: int, tag: str) -> bytes:
    """The transaction leaf before the run of entries with this tag."""
    end = b',"tag":"%b"}' % tag.encode("ascii")

    def is_same(at: int) -> bool:
        leaf = leaves.get(at)
        return leaf.startswith(ENTRY_START) and leaf.endswith(end)

    # `low` is known to stand outside the run, `high` inside it.
    low, high, step = max(index - MESSAGES_MAX, 0), index, 1
    while index - step > low:
        if not is_same(index - step):
            low = index - step
            break
        high = index - step
        step *= 2
    while high - low > 1:
        middle = (low + high) // 2
        if is_same(middle):
            high = middle
        else:
            low = middle
    transaction = leaves.get(low)
    if not transaction.startswith(TRANSACTION_START) or compute_tag(transaction) != tag.encode("ascii"):
        raise InvariantBroken("TRANSACTION_LEAF_MISSING", index=index, found=low)
    return transaction


def make_row(core: Core, index: int, leaf: bytes) -> dict[str, Any]:
    """An entry as rows show it: the leaf's own bytes, and the block it stands in."""
    block = core.find_block(index)
    if block is None:
        raise InvariantBroken("BLOCK_MISSING", index=index)
    return {"entry": Raw(leaf), "height": block[1], "index": index, "time": block[2]}


def make_rows(core: Core, indexes: list[int]) -> list[dict[str, Any]]:
    """Rows for entries whose asker may see them."""
    leaves = Leaves(core, core.head.size)
    return [make_row(core, index, leaves.get(index)) for index in indexes]


def prove_witnessed(core: Core, index: int) -> tuple[str, list[bytes]]:
    """A checkpoint that satisfies the whole policy for its size, and an inclusion proof to it.

    Raises `Refused` ``NOT_WITNESSED`` where none that covers the entry is known.
    """
    note = core.witnessed
    size = 0 if note is None else parse_checkpoint(split_note(note)[0]).size
    if note is None or index >= size:
        raise Refused("NOT_WITNESSED", index=index, size=size)
    return note, prove_leaves(core, [index], size=size)[0]


def encode_receipt(found: Found, *, checkpoint: str, proof: list[bytes], epoch: int = 0) -> bytes:
    """The receipt's canonical bytes."""
    receipt = Receipt(
        entry=found.leaf.decode(),
        epoch=epoch,
        proof=format_tlog_proof(index=found.place, hashes=proof, checkpoint=checkpoint),
        transaction=UNSET if found.transaction is None else found.transaction.decode(),
    )
    data: bytes = encode(receipt)
    return data
