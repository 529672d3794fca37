"""Overlay: a state as it will be once what is written over it is done, while nothing is written yet.

Several actions are tried one after the other, each seeing what those before it would have done, and then all
of it is handed to the executor, or none. Whatever is worked out once a block is worked out anew here, since
it may rest on what is only tried.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from copy import copy
from typing import Any

from contracts.mechanics.enactment import Effects
from ledger.outcome import Leg
from ledger.rule import BlockContext
from ledger.state import StateView
from ledger.totals import DEBIT_TABLE, OWED_TABLE, POSITION_TABLE


class Overlay:
    """A view of a state with writes over it."""

    def __init__(self, state: StateView) -> None:
        self._state = state
        self._written: dict[tuple[str, str], Any] = {}
        self._totals: dict[tuple[str, str], int] = {}
        """What legs add up to. The executor adds it up itself, so this is only ever looked at."""

    def get(self, table: str, key: str) -> Any:
        """The record as it would be, or None."""
        place = (table, key)
        if place in self._written:
            return self._written[place]
        if place in self._totals:
            return self._totals[place]
        return self._state.get(table, key)

    def first_due(self, *, before: str, limit: int) -> list[str]:
        """As the block found it: what is due is read before anything is written."""
        return self._state.first_due(before=before, limit=limit)

    def list_records(self, table: str) -> list[tuple[str, Any]]:
        """Every record of a table that is whole in memory, as it would be, in key order."""
        found = self._state.list_records(table)
        if not any(name == table for written in (self._totals, self._written) for name, _ in written):
            return found
        records = dict(found)
        for written in (self._totals, self._written):
            for (name, key), record in written.items():
                if name == table:
                    records[key] = record
        return sorted((key, record) for key, record in records.items() if record is not None)

    def write(self, effects: Effects) -> None:
        """What these effects change is seen from here on."""
        for table, key, record in effects.changes:
            self._written[table, key] = record
        self._add_up(effects.legs)

    def _add_up(self, legs: Iterable[Leg]) -> None:
        for leg in legs:
            for place, micros in (
                ((DEBIT_TABLE, leg.source), leg.micros),
                ((OWED_TABLE, f"{leg.source}|{leg.destination}|{leg.reason}"), leg.micros),
                ((POSITION_TABLE, leg.source), -leg.micros),
                ((POSITION_TABLE, leg.destination), leg.micros),
            ):
                self._totals[place] = (self.get(*place) or 0) + micros

    @property
    def changes(self) -> list[tuple[str, str, Any]]:
        """What was written, each record as it stands last."""
        return [(table, key, record) for (table, key), record in self._written.items()]


def begin_trial_run(block: BlockContext) -> BlockContext:
    """The same block with nothing worked out yet: what is only tried must not be remembered."""
    fresh = copy(block)
    fresh.memo = defaultdict(dict)
    return fresh
