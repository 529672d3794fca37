"""Look-up rows, worked out from the messages and held against those stored, a segment at a time.

So an audit holds no more of them than one segment has. What is searched for with them is not its business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from ledger.errors import InvalidBlock
from node.audit.replay import ReplayedBlock

HISTORY: Final = "history"
REFERENCES: Final = "references"
TRANSACTIONS: Final = "transactions"
LOOKUPS: Final = (HISTORY, REFERENCES, TRANSACTIONS)
Row = tuple[Any, ...]
"""A look-up row, the index it leads to first: (index, member, program), (index, sender, reference), (index,
sender, id, digest)."""


class StoredLookups(Protocol):
    """The look-ups of a data directory, as of one moment."""

    @property
    def segment_leaves(self) -> int:
        """How many leaves a segment of the look-ups spans."""
        ...

    def list_lookups(self, lookup: str, segment: int) -> Iterable[Row]:
        """Every row of one of `LOOKUPS` in a segment."""
        ...

    def find_lookup_outside(self, segment: int) -> Row | None:
        """A look-up row of no segment from 0 to this one, if there is any."""
        ...


class _Fields(NamedTuple):
    """What a kind of message has to look up."""

    has_member: bool
    has_program: bool
    has_recipient: bool
    has_sender: bool
    references: tuple[str, ...]


class LookupComparison:
    """Follows a replay, and compares each segment's rows when it is left."""

    def __init__(self, stored: StoredLookups) -> None:
        self._stored = stored
        self._segment_end = stored.segment_leaves
        self._rows: dict[str, set[Row]] = {lookup: set() for lookup in LOOKUPS}
        self._segment = 0
        self._fields: dict[type, _Fields] = {}
        self.count = 0
        """Rows that were compared and the same."""

    def add(self, block: ReplayedBlock) -> None:
        """The look-up rows that this block brings, segment by segment."""
        recorded = block.recorded
        self._add_messages(recorded.first, None, block.executed.system)
        for place, transaction in zip(recorded.places, recorded.transactions, strict=True):
            header = transaction.header
            self._enter(place)
            self._rows[TRANSACTIONS].add((place, header.sender, header.id, header.digest))
            self._add_messages(place + 1, header.sender, transaction.messages)

    def _add_messages(self, first: int, sender: str | None, messages: Sequence[Any]) -> None:
        """An entry concerns the member it names and, where points go to another, that one too; it belongs to
        the reference it takes and to the original or the hold it names.

        What a block did by itself is its message's sender's, where the message says one.
        """
        for index, message in enumerate(messages, start=first):
            if index >= self._segment_end:
                self._enter(index)
            fields = self._fields.get(type(message)) or self._find_fields(type(message))
            history, references = self._rows[HISTORY], self._rows[REFERENCES]
            if fields.has_member:
                program = message.program if fields.has_program else ""
                history.add((index, message.member, program))
                recipient = getattr(message, "recipient", None) if fields.has_recipient else None
                if recipient is not None:
                    history.add((index, recipient, getattr(message, "target", program)))
            if fields.references:
                who = message.sender if sender is None and fields.has_sender else sender
                if who is not None:
                    for field in fields.references:
                        references.add((index, who, getattr(message, field)))

    def _find_fields(self, kind: type) -> _Fields:
        """Which of the fields that matter here messages of a kind have."""
        names = {field.name for field in msgspec.structs.fields(kind)}
        fields = self._fields[kind] = _Fields(
            has_member="member" in names,
            has_program="program" in names,
            has_recipient="recipient" in names,
            has_sender="sender" in names,
            references=tuple(name for name in ("reference", "original", "hold") if name in names),
        )
        return fields

    def _enter(self, index: int) -> None:
        """Rows of a segment are compared once the replay has left it."""
        while index >= self._segment_end:
            self.compare()
            self._segment += 1
            self._segment_end += self._stored.segment_leaves

    def compare(self) -> None:
        """The rows of the segment at hand are those stored. Raises `InvalidBlock`."""
        for lookup in LOOKUPS:
            expected, self._rows[lookup] = self._rows[lookup], set()
            found = list(self._stored.list_lookups(lookup, self._segment))
            self.count += len(found)
            if len(found) == len(expected) and all(map(expected.__contains__, found)):
                continue
            differing = expected.symmetric_difference(found)
            if differing:
                # By index as text too: a stored index may be anything.
                index, row = min(((row[0], row) for row in differing), key=str)
                raise InvalidBlock(
                    f"LOOKUP_{'MISSING' if row in expected else 'UNKNOWN'}",
                    expected=row if row in expected else None,
                    found=None if row in expected else row,
                    index=index if isinstance(index, int) else None,
                )

    def check_outside(self, size: int, *, is_any: bool = True) -> None:
        """No look-up row stands in another segment than those that were compared, if there is any at all."""
        outside = self._stored.find_lookup_outside(self._segment if is_any else -1)
        if outside is not None:
            raise InvalidBlock("LOOKUP_UNKNOWN", expected=None, found=outside, index=size)
