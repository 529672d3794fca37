"""Exposures: what each participant owes that is not settled, and how much of its limit that is.

Figures for people and monitoring, by the very functions that decide whether a message may add to a debt.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Protocol

from contracts.mechanics.exposure import compute_owed, get_limit
from contracts.mechanics.records import EXPOSURE, NO_EXPOSURE, PARTICIPANT, Exposure
from contracts.mechanics.settlement_records import COVER, Cover
from ledger.errors import InvariantBroken
from ledger.rule import BlockContext
from ledger.totals import DEBIT_TABLE
from ledger.values import FOREVER

_FULL_PERCENT: Final = 100


class Records(Protocol):
    """Where small tables are read whole."""

    def list_records(self, table: str) -> list[tuple[str, Any]]:
        """Every record of a small table, in key order."""


class Owing(NamedTuple):
    """What one participant owes, and how far it may go. Micros."""

    participant: str
    cap: int | None
    """None where nobody set one."""
    cover: Cover | None
    """As it was attested, expired or not."""
    held: int
    """The part of `owed` that it would owe for open holds."""
    limit: int | None
    """The smaller of the cap and a cover that was attested; None without either."""
    owed: int

    @property
    def percent(self) -> int | None:
        """How much of the limit is used; of a limit of nothing all is. None where there is no limit."""
        if self.limit is None:
            return None
        return self.owed * 100 // self.limit if self.limit else _FULL_PERCENT


class _Tables:
    """A few small tables, read whole: through a worker's line each look-up alone would be a question."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._tables = {table: dict(records.list_records(table)) for table in (EXPOSURE, COVER, DEBIT_TABLE)}

    def get(self, table: str, key: str) -> Any:
        """The record, or None."""
        return self._tables[table].get(key)

    def first_due(self, *, before: str, limit: int) -> list[str]:
        """Due work is the executor's alone."""
        raise InvariantBroken("DUE_WORK_NOT_READABLE", before=before, limit=limit)

    def list_records(self, table: str) -> list[tuple[str, Any]]:
        """Every record of a small table, in key order."""
        return self._records.list_records(table)


def list_exposures(records: Records, *, time: int) -> list[Owing]:
    """What every participant owes at ``time``, in order of ids."""
    tables = _Tables(records)
    block = BlockContext(chain="", height=0, time=time, operator="", utc_offset_minutes=0)
    found = []
    for name, _ in records.list_records(PARTICIPANT):
        exposure: Exposure = tables.get(EXPOSURE, name) or NO_EXPOSURE
        found.append(
            Owing(
                participant=name,
                cap=None if exposure.cap == FOREVER else exposure.cap,
                cover=tables.get(COVER, name),
                held=exposure.held,
                limit=get_limit(tables, block, name),
                owed=compute_owed(tables, name),
            )
        )
    return found
