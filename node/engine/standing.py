"""Which engine makes a ledger's blocks, as its state says: a record, or none where one sequencer makes them.

A ledger that begins with validators has the record from its genesis on; another gets it with the vote after
which its sequencer makes no more blocks.
"""

from __future__ import annotations

from typing import Any, Protocol

from contracts.mechanics.governance_records import ENGINE, VALIDATORS, EngineRecord, ValidatorSet
from ledger.errors import InvariantBroken


class Reader(Protocol):
    """Whoever knows the records."""

    def get(self, table: str, key: str) -> Any:
        """The record, or None."""
        ...


def find_engine(reader: Reader) -> EngineRecord | None:
    """The engine of the next block; None for one sequencer."""
    record: EngineRecord | None = reader.get(ENGINE, ENGINE)
    return record


def get_engine(reader: Reader) -> EngineRecord:
    """The validators' engine. Raises `InvariantBroken` ``ENGINE_DIFFERS`` for one sequencer."""
    found = find_engine(reader)
    if found is None:
        raise InvariantBroken("ENGINE_DIFFERS", engine="solo")
    return found


def find_validators(reader: Reader) -> ValidatorSet | None:
    """Who was named last to decide what the next block is; None for one sequencer."""
    record: ValidatorSet | None = reader.get(VALIDATORS, VALIDATORS)
    return record
