"""Ladders: a rule's reasons to say no, in the order of docs/spec/messages.md, each on top of those below.

A ladder begins with a message that succeeds. Row n breaks everything that the rows below it break, and one
thing more; its own code must be the answer, and nothing may have changed but the memory of the transaction.
So one table shows every reason, and pins their order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from contracts.mechanics.records import NONCE, ReferenceRecord
from contracts.mechanics.references import compute_content, reads_reference
from contracts.messages.consent_text import Consent
from ledger.codec import encode, sha256
from ledger.executor import HEAD_TABLE
from ledger.keys import SeedSigner
from ledger.outcome import Outcome
from ledger.rule import Asked
from ledger.transaction import TRANSACTION_TABLE
from tests.contracts.alliance import Alliance
from tests.contracts.letters import make_nonce, sign_consent

FIRST = 3
"""The index of the entry that is said to have taken a reference before."""


class Attempt:
    """One message that is about to be asked, and what has been broken about it so far."""

    def __init__(
        self, message: type, /, *, sender: str, alliance: Alliance | None = None, **fields: Any
    ) -> None:
        self.alliance = alliance or Alliance().open()
        self.message = message
        self.sender = sender
        self.purpose: str | None = None
        self.fields = fields
        self.consent: dict[str, Any] | None = None
        """The consent's own fields; signed when it is asked, after everything else is settled."""
        self.speaker: SeedSigner | None = None
        self.consent_is_forged = False
        self.nonce_is_spent = False
        self.reference_taken_by: str | None = None
        """``same`` or ``other`` content succeeded under this reference before."""

    def set(self, **fields: Any) -> None:
        """Change fields of the message."""
        self.fields.update(fields)

    def agree(self, speaker: SeedSigner, **fields: Any) -> None:
        """Who signs the consent, and what it says other than the obvious."""
        self.speaker = speaker
        self.consent = {**(self.consent or {}), **fields}

    def make_message(self) -> Any:
        """The message, with its consent signed last."""
        if self.consent is None:
            return self.message(**self.fields)
        return self.message(**self.fields, consent=self._sign_consent())

    def _sign_consent(self) -> Consent:
        assert self.consent is not None
        assert self.speaker is not None
        is_exchange = "target" in self.fields
        said = {
            "counterparty": self.fields["recipient"] if is_exchange else self.sender,
            "expires": self.alliance.time + 60_000,
            "least": self.fields["least"] if is_exchange else UNSET,
            "member": self.fields["member"],
            "nonce": make_nonce("attempt"),
            "points": self.fields["points"],
            "program": self.fields["program"],
            "purpose": "exchange" if is_exchange else "redeem",
            "target": self.fields["target"] if is_exchange else UNSET,
            **self.consent,
        }
        consent = sign_consent(self.alliance.chain, self.speaker, **said)
        if self.consent_is_forged:
            forged = sign_consent(
                self.alliance.chain, self.speaker, **{**said, "nonce": make_nonce("forged")}
            )
            consent = replace(consent, signature=forged.signature)
        return consent

    def prepare(self) -> Any:
        """The message, after whatever had to come before it has come."""
        message = self.make_message()
        if self.nonce_is_spent and self.consent is not None:
            key = f"{message.consent.key}|{message.consent.nonce}"
            self.alliance.put(NONCE, key, message.consent.expires)
        if self.reference_taken_by is not None:
            self._take_reference(message)
        return message

    def _take_reference(self, message: Any) -> None:
        """The record that an earlier success leaves, wherever the message now says it happened."""
        context = self.alliance.executor.context(time=self.alliance.time)
        asked = Asked(context, self.sender, None, "", 0, sha256(encode(message)))  # type: ignore[arg-type]
        same = self.reference_taken_by == "same"
        content = compute_content(asked, message) if same else make_nonce("other")
        (table, key), _ = reads_reference(context, self.sender, message)
        self.alliance.put(table, key, ReferenceRecord(FIRST, content))


Break = Callable[[Attempt], None]


class Ladder(NamedTuple):
    """One message type's rows, in check order, over a message that succeeds."""

    name: str
    """The `@type`."""
    start: Callable[[], Attempt]
    rows: Sequence[tuple[str, Break]]

    @property
    def codes(self) -> list[str]:
        """The codes in the order of the rows."""
        return [code for code, _ in self.rows]


def every_row(*ladders: Ladder) -> Any:
    """Parametrises a test over each row of each ladder, and over the message that nothing is wrong with."""
    cases = [
        pytest.param(ladder, number, id=f"{ladder.name}-{[*ladder.codes, 'OK'][number]}")
        for ladder in ladders
        for number in range(len(ladder.rows) + 1)
    ]
    return pytest.mark.parametrize(("ladder", "row"), cases)


def fall_from(ladder: Ladder, row: int) -> Attempt:
    """Break everything from the lowest row up to this one, ask, and hold the answer to the row's code."""
    attempt = ladder.start()
    for _, break_it in reversed(ladder.rows[row:]):
        break_it(attempt)
    expected = [*ladder.codes, "OK"][row]
    message = attempt.prepare()
    before = attempt.alliance.records(HEAD_TABLE, TRANSACTION_TABLE)
    outcome = attempt.alliance.ask(attempt.sender, message, purpose=attempt.purpose)
    after = attempt.alliance.records(HEAD_TABLE, TRANSACTION_TABLE)
    assert outcome.code == expected
    assert (before == after) == (expected != "OK")
    if expected != "OK":
        told = {"ALREADY_DONE": FIRST, "REFERENCE_CONFLICT": FIRST}.get(expected, UNSET)
        assert outcome == Outcome(code=expected, first=told), "a rejection says its code and nothing more"
    attempt.alliance.check()
    return attempt


#   The first four rows of every message with a business reference.
REFERENCE_ROWS: list[tuple[str, Break]] = [
    ("OCCURRED_IN_FUTURE", lambda it: it.set(occurred_at=it.alliance.time + 300_001)),
    ("OCCURRED_TOO_LONG_AGO", lambda it: it.set(occurred_at=it.alliance.time - 400 * 86_400_000 - 1)),
    ("ALREADY_DONE", lambda it: setattr(it, "reference_taken_by", "same")),
    ("REFERENCE_CONFLICT", lambda it: setattr(it, "reference_taken_by", "other")),
]
