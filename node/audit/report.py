"""What an audit says in the end: how much it looked at, and the first thing that is bad, if anything is.

The report is good only if nothing was found and the end was reached. It has a form for machines (JSON) and
one for people.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from ledger.errors import CommonpointError, InvalidBlock


class FirstBad(Struct, frozen=True):
    """The first thing that does not hold. Never on the wire."""

    index: int | None
    """The leaf it was found at, or the last one that a stored record stands for; absent where no leaf can be
    named.
    """
    check: str
    """Which check failed: a stable code."""
    detail: str

    @classmethod
    def of(cls, error: CommonpointError) -> FirstBad:
        """The finding that an error is."""
        if isinstance(error, InvalidBlock):
            detail = f"expected {error.facts['expected']}; found {error.facts['found']}"
            return cls(index=error.index, check=error.check, detail=detail)
        told = ", ".join(f"{name} {value}" for name, value in sorted(error.facts.items()))
        return cls(index=None, check=error.code, detail=told)


class Report(Struct):
    """What was verified. Never on the wire."""

    chain: str = ""
    size: int = 0
    """Leaves that were found good."""
    height: int = 0
    operations: int = 0
    """Messages that were executed again, and what blocks did by themselves."""
    transactions: int = 0
    records: int = 0
    """Stored state records that were compared."""
    rows: int = 0
    """Stored look-up rows that were."""
    unsigned_leaves: int = 0
    """Leaves stored after the newest stored checkpoint."""
    seconds: float = 0.0
    operations_per_second: int = 0
    first_bad: FirstBad | None = None
    is_finished: bool = False

    def finish(self, *, seconds: float) -> None:
        """The audit is over: with a finding, or having looked at everything."""
        self.seconds = round(seconds, 3)
        self.operations_per_second = int(self.operations / seconds) if seconds else 0
        self.is_finished = True

    @property
    def is_good(self) -> bool:
        """Whether everything was looked at and nothing was found."""
        return self.is_finished and self.first_bad is None

    def to_json(self) -> bytes:
        """One object, with ``good`` first."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__ if name != "is_finished"}
        return msgspec.json.encode({"good": self.is_good, **fields})
