"""An import put together: the node it goes to, the keys it is signed with, the book, and the file read again.

Nothing is sent that the first reading did not check: the file must have the same bytes the second time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ledger.calendar import get_day
from ledger.genesis import Origin
from node.keystore import Unusable
from node.migration.balances import REQUIRED, Balance, Terms, Totals, read_balances
from node.migration.importing import Import, Reconciled
from node.migration.journal import Journal
from node.migration.members import open_book
from node.migration.table import open_table
from node.remote.admission import find_signer, get_participant, open_connection
from node.remote.chain import read_origin
from node.remote.connection import Connection
from node.remote.submission import Submitter

Progress = Callable[[int], None]
"""Called with how many lines are done."""


class Session:
    """One node and one participant's keys."""

    def __init__(
        self, connection: Connection, *, origin: Origin, time: int, participant: str, keys: Path
    ) -> None:
        self._connection = connection
        self._origin = origin
        self._chain_time = time
        self._participant = participant
        self._keys = keys

    def read_terms(self, program: str, series: str) -> Terms:
        """What the ledger will hold the lines against. Raises `Unusable` where there is no such series."""
        told: Any = self._connection.get_json("v1", "programs", program)
        if not isinstance(told, dict):
            advice = "Open the program and its series first: open_program, open_series."
            raise Unusable("PROGRAM_UNKNOWN", advice=advice, program=program)
        if told["issuer"] != self._participant:
            advice = "Only the issuer brings balances: use its keys."
            raise Unusable("NOT_ISSUER", advice=advice, issuer=told["issuer"], participant=self._participant)
        for each in told["series"]:
            if each["series"] == series:
                return Terms(self._get_day(self._now()), each["expiry_months"])
        known = ", ".join(each["series"] for each in told["series"])
        raise Unusable("SERIES_UNKNOWN", advice=f"The program has: {known}.", series=series)

    def send(
        self,
        file: Path,
        *,
        sha256: str,
        terms: Terms,
        program: str,
        series: str,
        govern_keys: Path,
        state: Path,
        progress: Progress,
    ) -> Reconciled:
        """Every good line is on the ledger, or told why not."""
        custody = find_signer(self._keys, ("custody",))
        govern = find_signer(govern_keys, ("govern",))
        chain = self._origin.chain
        with (
            open_book(state, chain=chain, participant=self._participant) as book,
            closing(Journal(state)) as journal,
        ):
            importing = Import(
                Submitter(self._connection, self._origin),
                book,
                journal,
                begun=book.begin(program, series, now=self._now()),
                chain=chain,
                participant=self._participant,
                custody=custody,
                govern=govern,
                now=self._now,
            )
            with open_table(file, required=REQUIRED) as table:
                found = read_balances(table, terms=terms, totals=Totals())
                for done in importing.run(each for each in found if isinstance(each, Balance)):
                    progress(done)
                if table.sha256 != sha256:
                    advice = "Run it again: what was sent stays, and is not sent twice."
                    raise Unusable("FILE_CHANGED", advice=advice, path=str(file))
        return importing.result

    def _now(self) -> int:
        """The time by which the node judges: the machine's, or the chain's where it is told the time."""
        if self._origin.settings.clock == "system":
            return time.time_ns() // 1_000_000
        return self._chain_time

    def _get_day(self, at: int) -> int:
        return get_day(at, utc_offset_minutes=self._origin.settings.utc_offset_minutes)


@contextmanager
def open_session(url: str, *, keys: Path, participant: str | None, chain: str | None) -> Iterator[Session]:
    """The node at this address, for this participant."""
    whose = get_participant(keys) if participant is None else participant
    with open_connection(url, keys=keys, participant=whose, chain=chain) as connection:
        origin, at = read_origin(connection, pinned=chain)
        yield Session(connection, origin=origin, time=at, participant=whose, keys=keys)
