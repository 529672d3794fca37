"""The log's leaves grouped as they claim to belong together: genesis, then block after block.

A block is its system entries, its transactions each with its entries, and the block leaf. Transactions are
put together again from the leaves: their messages from the values in the entries, never from the bytes, so
that another spelling of the same values makes other bytes. That a leaf reads well says nothing about whether
it is true: `node.audit.replay` finds out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec import Raw

from ledger.errors import InvalidBlock
from ledger.leaves import (
    BLOCK_LEAF_DECODER,
    BLOCK_START,
    GENESIS_START,
    SYSTEM_START,
    TRANSACTION_LEAF_DECODER,
    TRANSACTION_START,
    BlockLeaf,
    TransactionLeaf,
)
from ledger.transaction import Transaction
from ledger.values import MESSAGES_MAX, TRANSACTION_BYTES_MAX

_T = TypeVar("_T")
_TOLD_BYTES: Final = 160
"""How much of a leaf is shown to people."""


class RecordedBlock(NamedTuple):
    """One block as the log holds it."""

    first: int
    leaves: list[bytes]
    transactions: list[Transaction]
    places: list[int]
    """Index of each transaction's leaf."""
    closing: BlockLeaf


def read_genesis_leaves(leaves: Iterator[bytes]) -> tuple[list[bytes], bytes | None]:
    """The genesis leaves and the first leaf after them."""
    genesis: list[bytes] = []
    leaf = next(leaves, None)
    while leaf is not None and leaf.startswith(GENESIS_START):
        genesis.append(leaf)
        leaf = next(leaves, None)
    if not genesis:
        raise InvalidBlock("GENESIS_MISSING", expected="a genesis leaf", found=tell_leaf(leaf), index=0)
    return genesis, leaf


class BlockReader:
    """The blocks of a log, from a known leaf and height on; ``ahead`` is the first leaf, taken already."""

    def __init__(
        self, leaves: Iterator[bytes], *, ahead: bytes | None, size: int, height: int, message_type: Any
    ) -> None:
        self._leaves = leaves
        self._ahead = ahead
        self._size = size
        self._height = height
        self._decode_entry = make_entry_decoder(message_type).decode

    def __iter__(self) -> Iterator[RecordedBlock]:
        """Every block. Raises `InvalidBlock` for the first leaf that cannot stand where it does."""
        while self._ahead is not None:
            block = self._read_block(self._ahead)
            self._size += len(block.leaves)
            self._height += 1
            yield block
            self._ahead = next(self._leaves, None)

    def _read_block(self, leaf: bytes | None) -> RecordedBlock:
        """The next block, grouped; nothing in it is believed yet."""
        height = self._height + 1
        found: list[bytes] = []
        while leaf is not None and leaf.startswith(SYSTEM_START):
            found.append(leaf)
            leaf = next(self._leaves, None)
        transactions: list[Transaction] = []
        places: list[int] = []
        while leaf is not None and leaf.startswith(TRANSACTION_START):
            index = self._size + len(found)
            shape = _decode_leaf(TRANSACTION_LEAF_DECODER, leaf, "TRANSACTION_MALFORMED", index)
            if shape.height != height:
                raise InvalidBlock("HEIGHT", expected=height, found=shape.height, index=index)
            found.append(leaf)
            entries = self._read_entries(shape, index)
            found += entries[0]
            transactions.append(entries[1])
            places.append(index)
            leaf = next(self._leaves, None)
        index = self._size + len(found)
        if leaf is None or not leaf.startswith(BLOCK_START):
            check = "BLOCK_UNFINISHED" if leaf is None else "LEAF_OUT_OF_PLACE"
            raise InvalidBlock(
                check, expected="a transaction or a block leaf", found=tell_leaf(leaf), index=index
            )
        closing = _decode_leaf(BLOCK_LEAF_DECODER, leaf, "BLOCK_MALFORMED", index)
        found.append(leaf)
        return RecordedBlock(self._size, found, transactions, places, closing)

    def _read_entries(self, shape: TransactionLeaf, index: int) -> tuple[list[bytes], Transaction]:
        """The entries after a transaction leaf, and the transaction that leaf and entries were made from."""
        count = shape.header.count
        if not 1 <= count <= MESSAGES_MAX:
            raise InvalidBlock("MESSAGE_COUNT", expected=f"1 to {MESSAGES_MAX}", found=count, index=index)
        entries = list(islice(self._leaves, count))
        if len(entries) < count:
            raise InvalidBlock(
                "BLOCK_UNFINISHED",
                expected=f"{count} entries",
                found=len(entries),
                index=index + 1 + len(entries),
            )
        messages = self._decode_messages(entries, index + 1)
        transaction = Transaction(
            header=shape.header,
            messages=messages,
            # Made from the values, never taken from the leaf: another spelling makes another leaf.
            message_bytes=[_encode(message) for message in messages],
            signature=shape.signature,
        )
        size = len(transaction.encode())
        if size > TRANSACTION_BYTES_MAX:
            raise InvalidBlock(
                "TRANSACTION_TOO_LARGE", expected=TRANSACTION_BYTES_MAX, found=size, index=index
            )
        return entries, transaction

    def _decode_messages(self, entries: Sequence[bytes], first: int) -> list[Any]:
        """The messages in entry leaves; the first leaf that is no entry is named."""
        decode = self._decode_entry
        messages: list[Any] = []
        try:
            for entry in entries:
                messages.append(decode(entry).message)  # noqa: PERF401  # how far it came is needed below
        except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError) as error:
            place = len(messages)
            raise InvalidBlock(
                "ENTRY_MALFORMED",
                expected="an entry leaf",
                found=f"{error}: {tell_leaf(entries[place])}",
                index=first + place,
            ) from None
        return messages


_encode: Final = msgspec.json.Encoder().encode


def make_entry_decoder(message_type: Any) -> msgspec.json.Decoder[Any]:
    """Reads an entry leaf down to the message in one pass; the outcome is compared and never read."""
    entry = msgspec.defstruct(
        "EntryLeaf",
        [("message", message_type), ("outcome", Raw), ("tag", str)],
        frozen=True,
        forbid_unknown_fields=True,
        tag="entry",
        tag_field="@type",
    )
    return msgspec.json.Decoder(entry)


def _decode_leaf(decoder: msgspec.json.Decoder[_T], leaf: bytes, check: str, index: int) -> _T:
    try:
        return decoder.decode(leaf)
    except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError) as error:
        raise InvalidBlock(
            check, expected="a canonical leaf", found=f"{error}: {tell_leaf(leaf)}", index=index
        ) from None


def tell_leaf(leaf: bytes | None) -> str:
    """The beginning of a leaf, for people."""
    if leaf is None:
        return "the end of the log"
    return leaf[:_TOLD_BYTES].decode("utf-8", "backslashreplace") + ("…" if len(leaf) > _TOLD_BYTES else "")
