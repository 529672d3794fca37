"""The committed state as whoever reads it sees it: at one height, like the rules.

Nothing is held still while somebody looks. Whether a block came in between is for the reader to ask
(`node.api.reading`).
"""

from __future__ import annotations

from typing import Any

from contracts.mechanics.records import PROGRAM
from ledger.errors import InvariantBroken
from ledger.executor import HEAD_KEY, HEAD_TABLE, Head
from ledger.rule import BlockContext
from node.api.core import Core


class View:
    """The committed state at one height, as rules see it. Any thread."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.head: Head = core.head
        settings = core.origin.settings
        # A chain that was idle stands at its last block; what has come due since is already due.
        now = max(self.head.time, core.now)
        self.block = BlockContext(
            chain=core.chain,
            height=self.head.height + 1,
            time=now,
            operator=settings.operator,
            utc_offset_minutes=settings.utc_offset_minutes,
            currency=settings.currency,
            founded_at=settings.time,
        )
        """The next block, in which whatever is asked for would be decided."""

    def get(self, table: str, key: str) -> Any:
        """The record, or None."""
        return self.core.get_record(table, key)

    def first_due(self, *, before: str, limit: int) -> list[str]:
        """Due work is the executor's alone."""
        raise InvariantBroken("DUE_WORK_NOT_READABLE", before=before, limit=limit)

    def list_records(self, table: str) -> list[tuple[str, Any]]:
        """Every record of a small table, in key order."""
        return self.core.list_records(table)

    def is_current(self) -> bool:
        """Whether the state still stands for this height, neither before it nor beyond."""
        return bool(self.get(HEAD_TABLE, HEAD_KEY) == self.head)

    def get_issuers(self) -> dict[str, str]:
        """Program → issuer."""
        return {program: record.issuer for program, record in self.core.list_records(PROGRAM)}
