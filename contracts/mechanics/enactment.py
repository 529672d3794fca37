"""What an enacted action leads to: records to write, what is owed through it, what others want to hear.

Actions change records as rules do, by returning what to write; nobody's balance is among it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ledger.outcome import Draw, Event, Leg


class Effects(NamedTuple):
    """What one action, or several in turn, lead to."""

    changes: Sequence[tuple[str, str, Any]] = ()
    """(table, key, record); None removes."""
    legs: Sequence[Leg] = ()
    events: Sequence[Event] = ()
    draws: Sequence[Draw] = ()
