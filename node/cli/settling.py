"""A participant at the settlement desk of one node: what it is shown, held against itself, and what it signs.

A statement is signed only once it was worked out again: from a log, or from its own lines. What the node says
of windows is shown as its word; what comes of a message is believed because the answer proves it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from contracts.mechanics.statement import ROUNDING_PREFIX, hash_statement
from contracts.messages.statement import Statement, StatementTransfer
from ledger.codec import encode
from ledger.errors import CommonpointError, Unverified
from ledger.genesis import Origin
from ledger.outcome import OK, Outcome
from ledger.transaction import sign_transaction
from node.audit.sources import SourceUnavailable
from node.keystore import Unusable
from node.remote.admission import find_signer, get_participant, open_connection
from node.remote.chain import read_origin
from node.remote.connection import Connection, make_path
from node.remote.submission import Submitter
from node.statements.checking import verify_statement

_NOT_AFTER_MILLIS: Final = 600_000
_ADVICE: Final = {
    "ALREADY_ATTESTED": "Your side of this payment is on the ledger already.",
    "ALREADY_SIGNED": "commonpoint settlement show WINDOW says who has signed.",
    "HEIGHT_NOT_AHEAD": "Heights went by meanwhile: run it again, or name a later --height.",
    "LINE_UNKNOWN": "Name lines in which you stand, by their numbers in the statement.",
    "NOT_IN_TRANSFER": "Payer and payee attest a payment, nobody else.",
    "NOT_IN_WINDOW": "Only who stands in a statement signs it.",
    "NOT_OPERATOR": "The operator names the height; its keys are in DIR/keys.",
    "STATEMENT_DIFFERS": "What was worked out is not what the ledger has: do not sign it elsewhere either.",
    "WINDOW_NOT_CLOSED": "commonpoint settlement show WINDOW says what became of it.",
    "WINDOW_NOT_CONFIRMED": "Payments are attested once all have agreed, or the time to dispute is over.",
}

Show = Callable[[str, str, str, bytes], None]
"""``show(chain, sender, key, message)``: whoever is shown this may still end the program."""


class TurnedDown(CommonpointError):
    """The ledger recorded the message, and answered no."""

    @property
    def advice(self) -> str | None:
        """What can be done about it."""
        return _ADVICE.get(self.code, "docs/spec/settlement.md says what the code means.")


class Desk:
    """One node, and the participant whose keys are at hand."""

    def __init__(
        self, connection: Connection, *, origin: Origin, now: int, participant: str | None, keys: Path | None
    ) -> None:
        self._connection = connection
        self._now = now
        self._keys = keys
        self.origin = origin
        self.participant = participant

    def read_height(self) -> int:
        """The height of the newest block, as the node has it."""
        return int(self._read("v1", "government")["height"])

    def list_windows(self) -> dict[str, Any]:
        """The open window, and the newest that were cut."""
        return self._read("v1", "windows")

    def read_window(self, window: int) -> dict[str, Any]:
        """What became of a window. Raises `Unusable` where it was not cut."""
        return self._read("v1", "windows", window, missing=window)

    def read_statement(self, window: int) -> tuple[Statement, str]:
        """The node's statement of a window, once it adds up, and its hash. Raises `Unverified`."""
        data = self._connection.get_file(make_path("v1", "windows", window, "statement"))
        if data is None:
            raise _unknown(window)
        return verify_statement(data, chain=self.origin.chain, window=window), hash_statement(data)

    def _read(self, *path: str | int, missing: int | None = None) -> dict[str, Any]:
        told = self._connection.get_json(*path)
        if told is None and missing is not None:
            raise _unknown(missing)
        if not isinstance(told, dict):
            raise SourceUnavailable("SOURCE_ANSWERED", url=self._connection.url, path=make_path(*path))
        return told

    def send(self, message: Any, *, show: Show) -> Outcome:
        """The message is signed with the govern key and on the ledger; ``show`` hears before what is signed.

        Raises `TurnedDown` with the ledger's own code.
        """
        if self._keys is None or self.participant is None:
            raise Unusable("KEYS_MISSING", advice="Name the folder with govern.pem: --keys.")
        signer = find_signer(self._keys, ("govern",))
        show(self.origin.chain, self.participant, signer.key_id, encode(message))
        is_told_the_time = self.origin.settings.clock != "system"
        now = self._now if is_told_the_time else time.time_ns() // 1_000_000
        transaction = sign_transaction(
            [message],
            chain=self.origin.chain,
            sender=self.participant,
            transaction_id=f"settlement-{secrets.token_hex(8)}",
            not_after=now + _NOT_AFTER_MILLIS,
            signer=signer,
        )
        outcome = Submitter(self._connection, self.origin).submit(transaction).outcomes[0]
        if outcome.code != OK:
            raise TurnedDown(outcome.code, participant=self.participant)
        return outcome


@contextmanager
def open_desk(
    url: str, *, keys: Path | None, participant: str | None, token: str | None = None, chain: str | None
) -> Iterator[Desk]:
    """The node at this address, for this participant or whoever the token was made for."""
    whose = get_participant(keys) if participant is None and keys is not None else participant
    with open_connection(url, token=token, keys=keys, participant=whose, chain=chain) as connection:
        origin, now = read_origin(connection, pinned=chain)
        yield Desk(connection, origin=origin, now=now, participant=whose, keys=keys)


def check_lines(statement: Statement, lines: Sequence[int], participant: str | None) -> list[int]:
    """The lines in order, in each of which the participant stands. Raises `Unusable` ``LINE_UNKNOWN``."""
    wanted = sorted(set(lines))
    for place in wanted:
        line = statement.lines[place] if place < len(statement.lines) else None
        if line is None or participant not in (
            line.source,
            line.destination.removeprefix(ROUNDING_PREFIX),
        ):
            raise Unusable("LINE_UNKNOWN", advice=_ADVICE["LINE_UNKNOWN"], line=place)
    return wanted


def find_transfer(statement: Statement, transfer: int, participant: str | None) -> StatementTransfer:
    """A payment that the participant makes or gets. Raises `Unusable`."""
    if transfer >= len(statement.transfers):
        advice = "The statement numbers them from 0 on."
        raise Unusable("TRANSFER_UNKNOWN", advice=advice, transfer=transfer)
    found = statement.transfers[transfer]
    if participant not in (found.source, found.destination):
        raise Unusable("NOT_IN_TRANSFER", advice=_ADVICE["NOT_IN_TRANSFER"], transfer=transfer)
    return found


def compare_hash(desk: Desk, window: int, digest: str) -> None:
    """The node has the statement that was worked out. Raises `Unverified` ``STATEMENT_DIFFERS``."""
    told = desk.read_window(window).get("statement")
    if told != digest:
        raise Unverified("STATEMENT_DIFFERS", window=window, expected=digest, found=told)


def _unknown(window: int) -> Unusable:
    return Unusable("WINDOW_NOT_CUT", advice="commonpoint settlement show lists them.", window=window)
