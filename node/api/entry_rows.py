"""Entries as rows of an export: the log read in order, and one record for each entry that the asker may see.

A row says what the entry says, in columns that are the same for every kind of message; what a kind does not
have is empty. The money between participants is all in `legs`; for a participant `net` sums up its own side.
The entry itself, byte for byte, is at its `index`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from msgspec import UnsetType

from contracts.mechanics.records import MEMBER, PARTICIPANT, PROGRAM
from ledger.errors import InvariantBroken
from ledger.leaves import TRANSACTION_LEAF_DECODER, TRANSACTION_START
from ledger.log.tiles import TILE_WIDTH
from ledger.transaction import Header
from node.access import Role, can_read_entry, get_concerned, get_owner
from node.api.csv_rows import Cell, encode_row, format_time, get_money_cells
from node.api.entries import Decoded, Leaves, decode_entry, find_transaction
from node.api.view import View

COLUMNS: Final = (
    "index",
    "height",
    "time_millis",
    "time",
    "kind",
    "code",
    "sender",
    "sender_name",
    "transaction",
    "reference",
    "original",
    "original_index",
    "first_index",
    "occurred_at_millis",
    "occurred_at",
    "member",
    "recipient",
    "program",
    "program_name",
    "target",
    "points_asked",
    "points",
    "points_received",
    "points_released",
    "balance",
    "debt",
    "amount_micros",
    "amount",
    "net_micros",
    "net",
    "legs",
)
_REMEMBERED: Final = 4_096


class EntryScan:
    """Reads [first, end) of the log once, in order. One thread at a time."""

    def __init__(self, view: View, role: Role, *, first: int, end: int, limit: int | None) -> None:
        self._view = view
        self._role = role
        self._next = first
        self._end = end
        self._left = end if limit is None else limit
        self._header: Header | None = None
        """That of the transaction whose entries are being read; None where its leaf was not met yet."""
        self._block = (-1, 0, 0)
        self._get_issuer = lru_cache(_REMEMBERED)(lambda program: _get(view, PROGRAM, program, "issuer"))
        self._get_custodian = lru_cache(_REMEMBERED)(lambda member: _get(view, MEMBER, member, "custodian"))
        self._get_program = lru_cache(_REMEMBERED)(lambda program: _get(view, PROGRAM, program, "name"))
        self._get_name = lru_cache(_REMEMBERED)(lambda name: _get(view, PARTICIPANT, name, "name"))

    def read_some(self) -> bytes | None:
        """The records of one bundle of leaves, perhaps none; None at the end."""
        if self._next >= self._end or self._left <= 0:
            return None
        end = min(self._end, (self._next // TILE_WIDTH + 1) * TILE_WIDTH)
        rows: list[str] = []
        for index, leaf in enumerate(self._view.core.read_leaves(self._next, end), self._next):
            row = self._read(index, leaf)
            if row is not None:
                rows.append(row)
                self._left -= 1
                if not self._left:
                    break
        self._next = end
        return "".join(rows).encode()

    def _read(self, index: int, leaf: bytes) -> str | None:
        if leaf.startswith(TRANSACTION_START):
            self._header = TRANSACTION_LEAF_DECODER.decode(leaf).header
            return None
        entry = decode_entry(leaf)
        if entry is None:
            return None
        header = None
        if entry.tag is not None:
            if self._header is None:
                # The first leaf to be read stands amid its transaction's entries.
                before = find_transaction(Leaves(self._view.core, self._end), index, entry.tag)
                self._header = TRANSACTION_LEAF_DECODER.decode(before).header
            header = self._header
        if self._role.kind != "auditor" and not self._is_concerned(entry, header):
            return None
        return encode_row(self._make_cells(index, entry, header))

    def _is_concerned(self, entry: Decoded, header: Header | None) -> bool:
        concerned = get_concerned(
            sender=None if header is None else header.sender,
            message=entry.message,
            outcome=entry.outcome,
            get_issuer=self._get_issuer,
            get_custodian=self._get_custodian,
        )
        return can_read_entry(self._role, concerned)

    def _make_cells(self, index: int, entry: Decoded, header: Header | None) -> list[Cell]:
        message, outcome = entry.message, entry.outcome
        if index > self._block[0]:
            block = self._view.core.find_block(index)
            if block is None:
                raise InvariantBroken("BLOCK_MISSING", index=index)
            self._block = block
        _, height, time = self._block
        sender = _read(message, "sender") if header is None else header.sender
        occurred_at, program = _read(message, "occurred_at"), _read(message, "program")
        return [
            index,
            height,
            time,
            format_time(time),
            message.__struct_config__.tag,
            outcome.code,
            sender,
            None if sender is None else self._get_name(sender),
            None if header is None else header.id,
            _read(message, "reference"),
            _read(message, "original") or _read(message, "hold"),
            _read(outcome, "original"),
            _read(outcome, "first"),
            occurred_at,
            None if occurred_at is None else format_time(occurred_at),
            _read(message, "member"),
            _read(message, "recipient"),
            program,
            None if program is None else self._get_program(program),
            _read(message, "target"),
            _read(message, "points"),
            _read(outcome, "points"),
            _sum_points(outcome, "received"),
            _sum_points(outcome, "released"),
            _read(outcome, "balance"),
            _read(outcome, "debt"),
            *get_money_cells(_read(message, "amount")),
            *get_money_cells(self._compute_net(outcome.legs or ())),
            "; ".join(
                f"{leg.source}>{leg.destination} {leg.reason} {leg.micros}" for leg in outcome.legs or ()
            ),
        ]

    def _compute_net(self, legs: Any) -> int | None:
        """What the asker is owed more for it; none for an auditor, who is on no side."""
        if self._role.kind != "participant":
            return None
        net = 0
        for leg in legs:
            net += leg.micros * (get_owner(leg.destination) == self._role.id)
            net -= leg.micros * (get_owner(leg.source) == self._role.id)
        return net


def _get(view: View, table: str, key: str, field: str) -> str | None:
    found: str | None = getattr(view.get(table, key), field, None)
    return found


def _read(record: Any, field: str) -> Any:
    """The field, or None where this kind has none or it was left out."""
    value = getattr(record, field, None)
    return None if isinstance(value, UnsetType) else value


def _sum_points(outcome: Any, field: str) -> int | None:
    lots = _read(outcome, field)
    return None if lots is None else sum(lot.points for lot in lots)
