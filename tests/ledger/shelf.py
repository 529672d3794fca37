"""A record source that really works: dictionaries for everything up to the last fold."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from ledger.state import State

TABLES = ("animal", "plant")


class Shelf:
    """A record source of dictionaries: everything up to the last fold, and how often it was asked."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {"animal": {}, "plant": {}, "due": {}}
        self.loads: list[dict[str, list[str]]] = []

    def load(self, wanted: Mapping[str, Sequence[str]]) -> list[tuple[str, str, Any]]:
        self.loads.append({table: list(keys) for table, keys in wanted.items()})
        return [
            (table, key, self.tables[table][key])
            for table, keys in wanted.items()
            for key in keys
            if key in self.tables[table]
        ]

    def first_due(self, *, before: str, limit: int) -> list[str]:
        return sorted(key for key in self.tables["due"] if key < before)[:limit]

    def list_records(self, table: str) -> list[tuple[str, Any]]:
        return sorted(self.tables[table].items())

    def fold(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        for table, records in changes.items():
            for key, record in records.items():
                if record is None:
                    self.tables[table].pop(key, None)
                else:
                    self.tables[table][key] = record


def write(state: State, *rows: tuple[str, str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """One block that writes these records."""
    state.begin()
    for row in rows:
        state.put(*row)
    return state.commit().records


class Folding:
    """Folds a state into a shelf a step at a time, while blocks go on being committed."""

    def __init__(self, state: State, shelf: Shelf) -> None:
        self._state = state
        self._shelf = shelf
        self._waiting: dict[str, dict[str, Any]] = {}
        """Committed since the fold on its way began, or since the last."""
        self._on_its_way: dict[str, dict[str, Any]] | None = None
        self._has_arrived = False

    def note(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """A block was committed."""
        for table, records in changes.items():
            self._waiting.setdefault(table, {}).update(records)

    def go_on(self, choose: random.Random) -> None:
        """Begin a fold, let it arrive, or end it; or do nothing for now."""
        if choose.random() < 0.6:
            return
        if self._on_its_way is None:
            self._state.begin_fold()
            self._on_its_way, self._waiting, self._has_arrived = self._waiting, {}, False
        elif not self._has_arrived:
            self._shelf.fold(self._on_its_way)
            self._has_arrived = True
        else:
            self._state.end_fold(unfolded=self._waiting, keep_below=choose.choice([0, 5, 10_000]))
            self._on_its_way = None
