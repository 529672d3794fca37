"""What a till spends offline, written down before it counts.

Allowances and what was spent of them stand in the outbox's file, in tables of their own. Every change is one
transaction of the database, synced before it returns: it reads what is left and takes of it under the file's
own lock. So neither a killed process nor a second one beside it can spend a point twice.

    asked ──▶ open ──▶ settling ──▶ settled       captured or released, once
      │         ▲─────────┘ │
      │      surely not sent └────▶ lost          the ledger says that the hold is over
      └──▶ refused                                there was no hold

What is asked may be held already, so it stays until that is known (`merchant_sdk.client.reserving`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from merchant_sdk.errors import CommonpointError
from merchant_sdk.outbox_file import OutboxFile

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS allowances (
    reference TEXT PRIMARY KEY, chain TEXT NOT NULL, sender TEXT NOT NULL, member TEXT NOT NULL,
    program TEXT NOT NULL, points INTEGER NOT NULL, hold_day INTEGER NOT NULL, expires INTEGER NOT NULL,
    spend_until INTEGER NOT NULL, hold BLOB NOT NULL, state TEXT NOT NULL, asked INTEGER NOT NULL,
    ahead INTEGER NOT NULL, latest INTEGER NOT NULL, attempts INTEGER NOT NULL, ending BLOB,
    number TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE IF NOT EXISTS spends (
    reference TEXT NOT NULL, number TEXT NOT NULL, points INTEGER NOT NULL, occurred_at INTEGER NOT NULL,
    PRIMARY KEY (reference, number)) STRICT, WITHOUT ROWID;
"""
_OF_NUMBER: Final = """SELECT * FROM allowances
    WHERE chain = ? AND sender = ? AND number = ? AND state <> 'refused' ORDER BY asked DESC LIMIT 1"""
_RESTING_MILLIS: Final = 15 * 60_000
"""Longer than a transaction lives: who was to ask for a hold so long ago is not about to."""


class AllowanceError(CommonpointError):
    """The allowance does not cover this, or not any more. Nothing was spent.

    Codes: ALLOWANCE_USED_UP, ALLOWANCE_OVER (its time), ALLOWANCE_SETTLED, ORDER_CONFLICT (other points under
    the same number), ORDER_UNKNOWN (nothing was spent on it).
    """

    what_to_do = "Nothing was spent. Take money, or reserve anew when the line is back."


class Spend(NamedTuple):
    """Points spent offline on one order."""

    order: str
    """The order's number."""
    points: int
    occurred_at: int
    """When, milliseconds UTC of the till's time."""


class Row(NamedTuple):
    """An allowance as it stands in the file."""

    reference: str
    chain: str
    sender: str
    member: str
    program: str
    points: int
    hold_day: int
    expires: int
    spend_until: int
    hold: bytes
    """The hold as it was asked for."""
    state: str
    asked: int
    ahead: int
    """How far the ledger's time was ahead of this machine's when the hold was made, at the least."""
    latest: int
    """The latest time that was ever seen here."""
    attempts: int
    ending: bytes | None
    """The capture or release that settles it."""
    number: str = ""
    """The number it was asked for under by whoever asked; the ledger never hears it."""


class TillClock:
    """The time by which allowances end: it never goes back, whatever is done to the machine's clock."""

    def __init__(self, clock: Callable[[], int], *, is_told: bool) -> None:
        self._clock = clock
        self._is_told = is_told
        self._begin = None if is_told else (clock(), _get_uptime())

    def __call__(self) -> int:
        """Milliseconds UTC: the machine's clock, or what the time passed since we began makes of it."""
        now = self._clock()
        if self._begin is None:
            return now
        wall, uptime = self._begin
        return max(now, wall + _get_uptime() - uptime)


class TillStore:
    """The allowances of one participant on one chain. Any thread, and any number of processes."""

    def __init__(self, path: str | os.PathLike[str], *, chain: str, sender: str, clock: TillClock) -> None:
        self._file = OutboxFile(path)
        self._chain = chain
        self._sender = sender
        self._clock = clock
        with self._file.write() as write:
            for statement in _SCHEMA.split(";"):
                write.execute(statement)
            columns = [row[1] for row in write.execute("PRAGMA table_info(allowances)")]
            if "number" not in columns:
                # A file from before allowances had numbers.
                write.execute("ALTER TABLE allowances ADD COLUMN number TEXT NOT NULL DEFAULT ''")

    def ask(self, row: Row) -> Row:
        """The allowance is written down before its hold is asked for; or what has its number already."""
        with self._file.write() as write:
            known = write.execute(_OF_NUMBER, (self._chain, self._sender, row.number)).fetchone()
            if known is None or not row.number:
                marks = ", ".join("?" * len(row))
                write.execute(f"INSERT INTO allowances VALUES ({marks})", row)  # noqa: S608
                return row
        return Row(*known)

    def find(self, number: str) -> Row | None:
        """The allowance that was asked for under this number."""
        rows = self._file.read(_OF_NUMBER, (self._chain, self._sender, number))
        return Row(*rows[0]) if rows else None

    def refuse(self, reference: str) -> None:
        """There is no hold, so there is no allowance."""
        self._move(reference, "asked", "refused")

    def open(self, reference: str, *, time: int) -> Row:
        """The hold is made, in a block of this ``time``: its points may be spent."""
        with self._file.write() as write:
            now = self._clock()
            write.execute(
                # Whoever hears of it first opens it, whatever was concluded before.
                "UPDATE allowances SET state = 'open', ahead = ?, latest = ?"
                " WHERE reference = ? AND state IN ('asked', 'refused')",
                (max(0, time - now), max(time, now), reference),
            )
        return self.get(reference)

    def refuse_rested(self, reference: str) -> None:
        """There is no hold, if whoever was to ask for it has had the time to."""
        with self._file.write() as write:
            write.execute(
                "UPDATE allowances SET state = 'refused'"
                " WHERE reference = ? AND state = 'asked' AND asked < ?",
                (reference, self._clock() - _RESTING_MILLIS),
            )

    def list_asked(self) -> list[Row]:
        """Every allowance of which nobody knows yet whether its hold was made, the oldest first."""
        rows = self._file.read(
            "SELECT * FROM allowances WHERE chain = ? AND sender = ? AND state = 'asked'"
            " ORDER BY asked, reference",
            (self._chain, self._sender),
        )
        return [Row(*row) for row in rows]

    def get(self, reference: str) -> Row:
        """The allowance as it stands now."""
        rows = self._file.read("SELECT * FROM allowances WHERE reference = ?", (reference,))
        return Row(*rows[0])

    def list_unsettled(self) -> list[Row]:
        """Every allowance that is still to be settled, the oldest first."""
        rows = self._file.read(
            "SELECT * FROM allowances WHERE chain = ? AND sender = ?"
            " AND state IN ('open', 'settling') ORDER BY asked, reference",
            (self._chain, self._sender),
        )
        return [Row(*row) for row in rows]

    def list_spends(self, reference: str) -> list[Spend]:
        """What was spent of it, the oldest first."""
        rows = self._file.read(
            "SELECT number, points, occurred_at FROM spends WHERE reference = ? ORDER BY occurred_at, number",
            (reference,),
        )
        return [Spend(*row) for row in rows]

    def spend(self, reference: str, order: str, points: int) -> Spend:
        """The points are spent, and that is on the disk. Raises `AllowanceError`."""
        with self._file.write() as write:
            row = Row(*_fetch(write, reference))
            found = write.execute(
                "SELECT number, points, occurred_at FROM spends WHERE reference = ? AND number = ?",
                (reference, order),
            ).fetchone()
            if found is not None:
                if found[1] != points:
                    raise AllowanceError(
                        "ORDER_CONFLICT", "other points were spent on this order", {"spent": found[1]}
                    )
                return Spend(*found)
            now = max(self._clock() + row.ahead, row.latest)
            left = row.points - _sum(write, reference)
            if row.state != "open":
                raise AllowanceError("ALLOWANCE_SETTLED", "it is being settled, or is", {"state": row.state})
            if now >= row.spend_until:
                raise AllowanceError("ALLOWANCE_OVER", facts={"spend_until": row.spend_until, "now": now})
            if points > left:
                raise AllowanceError("ALLOWANCE_USED_UP", facts={"left": left, "points": points})
            write.execute("INSERT INTO spends VALUES (?, ?, ?, ?)", (reference, order, points, now))
            write.execute("UPDATE allowances SET latest = ? WHERE reference = ?", (now, reference))
        return Spend(order, points, now)

    def void(self, reference: str, order: str) -> None:
        """What was spent on this order is not spent.

        Raises `AllowanceError` where nothing was, and once it is being settled.
        """
        with self._file.write() as write:
            row = Row(*_fetch(write, reference))
            if row.state != "open":
                raise AllowanceError("ALLOWANCE_SETTLED", "it is being settled, or is", {"state": row.state})
            gone = write.execute("DELETE FROM spends WHERE reference = ? AND number = ?", (reference, order))
            if gone.rowcount == 0:
                error = AllowanceError("ORDER_UNKNOWN", "nothing was spent on this order", {"order": order})
                error.what_to_do = (
                    "Nothing was changed. Check the number: spends() lists those of this allowance."
                )
                raise error

    def begin_settling(self, reference: str, make: Callable[[Row, int], bytes]) -> bytes:
        """The one message that settles it: nothing is spent any more, and the message stays as it is."""
        with self._file.write() as write:
            row = Row(*_fetch(write, reference))
            ending = row.ending or make(row, _sum(write, reference))
            state = "settling" if row.state == "open" else row.state
            write.execute(
                "UPDATE allowances SET state = ?, ending = ?, attempts = attempts + 1 WHERE reference = ?",
                (state, ending, reference),
            )
        return ending

    def take_back(self, reference: str) -> None:
        """It surely was not sent, by us or anybody: so it goes on."""
        with self._file.write() as write:
            write.execute(
                "UPDATE allowances SET state = 'open', ending = NULL, attempts = 0"
                " WHERE reference = ? AND state = 'settling' AND attempts = 1",
                (reference,),
            )

    def date_anew(self, reference: str) -> None:
        """The ledger did not believe its moment: the next attempt gets another one."""
        with self._file.write() as write:
            write.execute("UPDATE allowances SET ending = NULL WHERE reference = ?", (reference,))

    def end(self, reference: str, state: str) -> None:
        """It is ``settled`` or ``lost``."""
        with self._file.write() as write:
            write.execute("UPDATE allowances SET state = ? WHERE reference = ?", (state, reference))

    def close(self) -> None:
        """The file is closed."""
        self._file.close()

    def _move(self, reference: str, before: str, after: str) -> None:
        with self._file.write() as write:
            write.execute(
                "UPDATE allowances SET state = ? WHERE reference = ? AND state = ?",
                (after, reference, before),
            )


def _fetch(write: Any, reference: str) -> tuple[Any, ...]:
    query = "SELECT * FROM allowances WHERE reference = ?"
    row: tuple[Any, ...] = write.execute(query, (reference,)).fetchone()
    return row


def _sum(write: Any, reference: str) -> int:
    query = "SELECT coalesce(sum(points), 0) FROM spends WHERE reference = ?"
    return int(write.execute(query, (reference,)).fetchone()[0])


def _get_uptime() -> int:
    """Milliseconds that nobody can turn back, sleep included where the system counts it."""
    boot = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(boot) // 1_000_000
