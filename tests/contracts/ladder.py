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

from contracts.mechanics.consent import get_nonce_key
from contracts.mechanics.records import (
    EARNED,
    HOLD,
    NONCE,
    REFERENCE,
    SPENT,
    Earned,
    HoldRecord,
    ReferenceRecord,
    Spent,
    Undone,
)
from contracts.mechanics.references import compute_content
from contracts.messages import Adjust, Exchange, Gift, Hold, Redeem
from contracts.messages.consent_text import Consent
from ledger.codec import encode, sha256
from ledger.executor import HEAD_TABLE
from ledger.keys import SeedSigner
from ledger.outcome import Lot, Outcome
from ledger.rule import Asked
from ledger.transaction import TRANSACTION_TABLE
from tests.contracts.alliance import RULEBOOK, Alliance
from tests.contracts.letters import make_nonce, sign_consent

FIRST = 3
"""The index of the entry that is said to have taken a reference before."""
PURPOSES = {Adjust: "adjust", Exchange: "exchange", Gift: "gift", Hold: "hold", Redeem: "redeem"}
"""Message type → what its consent is for."""


class Agreement:
    """A consent in the making: who signs it, what it says other than the obvious, what is wrong with it."""

    def __init__(self) -> None:
        self.speaker: SeedSigner | None = None
        self.said: dict[str, Any] = {}
        self.is_forged = False
        self.is_spent = False

    def sign(self, alliance: Alliance, plain: dict[str, Any]) -> Consent:
        """The consent as the message carries it, after its nonce was spent where it is said to be."""
        assert self.speaker is not None
        said = {"expires": alliance.time + 60_000, "nonce": make_nonce("attempt"), **plain, **self.said}
        consent = sign_consent(alliance.chain, self.speaker, **said)
        if self.is_forged:
            forged = sign_consent(alliance.chain, self.speaker, **{**said, "nonce": make_nonce("forged")})
            consent = replace(consent, signature=forged.signature)
        return consent

    def spend_nonce(self, alliance: Alliance, consent: Consent) -> None:
        """An earlier success used the nonce, where it is said to."""
        if self.is_spent:
            context = alliance.executor.context(time=alliance.time)
            alliance.put(NONCE, get_nonce_key(context, consent), consent.expires)


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
        self.consent: Agreement | None = None
        """Signed when it is asked, after everything else is settled."""
        self.recipient_consent: Agreement | None = None
        self.reference_taken_by: str | None = None
        """``same`` or ``other`` content succeeded under this reference before."""

    def set(self, **fields: Any) -> None:
        """Change fields of the message."""
        self.fields.update(fields)

    def agree(self, speaker: SeedSigner | None = None, **said: Any) -> None:
        """Who signs the consent, and what it says other than the obvious."""
        self.consent = self.consent or Agreement()
        self.consent.speaker = speaker or self.consent.speaker
        self.consent.said.update(said)

    def accept(self, speaker: SeedSigner | None = None, **said: Any) -> None:
        """As `agree`, for who receives an exchange."""
        self.recipient_consent = self.recipient_consent or Agreement()
        self.recipient_consent.speaker = speaker or self.recipient_consent.speaker
        self.recipient_consent.said.update(said)

    def make_message(self) -> Any:
        """The message, with its consents signed last."""
        told = dict(self.fields)
        if self.consent is not None:
            told["consent"] = self.consent.sign(self.alliance, self._describe())
        if self.recipient_consent is not None:
            plain = {
                "counterparty": told["member"],
                "member": told["recipient"],
                "nonce": make_nonce("received"),
                "points": 10**9,
                "program": told["target"],
                "purpose": "receive",
            }
            told["recipient_consent"] = self.recipient_consent.sign(self.alliance, plain)
        return self.message(**told)

    def _describe(self) -> dict[str, Any]:
        """What a consent to this message says as a rule."""
        return {
            "counterparty": self.fields.get("recipient", self.sender),
            "least": self.fields.get("least", UNSET),
            "member": self.fields["member"],
            "points": self.fields["points"],
            "program": self.fields["program"],
            "purpose": PURPOSES[self.message],
            "target": self.fields.get("target", UNSET),
        }

    def prepare(self) -> Any:
        """The message, after whatever had to come before it has come."""
        message = self.make_message()
        if self.consent is not None:
            self.consent.spend_nonce(self.alliance, message.consent)
        if self.recipient_consent is not None:
            self.recipient_consent.spend_nonce(self.alliance, message.recipient_consent)
        if self.reference_taken_by is not None:
            self._take_reference(message)
        return message

    def _take_reference(self, message: Any) -> None:
        """The record that an earlier success leaves, wherever the message now says it happened; or the mark
        it leaves on the original that it completes or undoes.
        """
        context = self.alliance.executor.context(time=self.alliance.time)
        asked = Asked(context, self.sender, None, "", 0, sha256(encode(message)))  # type: ignore[arg-type]
        same = self.reference_taken_by == "same"
        content = compute_content(asked, message) if same else make_nonce("other")
        table, key = next(iter(RULEBOOK.rules[self.message].reads(context, self.sender, message)))
        lot, member = Lot(1, 1, 0, 1, "x-1", 0), message.member
        record = self.alliance.get(table, key)
        if hasattr(message, "original") and record is not None:
            undone = (Undone(message.reference, content, FIRST), *record.undone)
            self.alliance.put(table, key, replace(record, undone=undone))
        elif hasattr(message, "hold") and record is not None:
            self.alliance.put(table, key, replace(record, final_content=content, final_index=FIRST))
        elif not hasattr(message, "original") and not hasattr(message, "hold"):
            records = {
                REFERENCE: ReferenceRecord(FIRST, content),
                EARNED: Earned(FIRST, content, 0, 0, lot, member, 0, 0, 0, ()),
                SPENT: Spent(FIRST, content, 0, (), member, (), 0, ()),
                HOLD: HoldRecord(FIRST, content, 1, (), member, (), "lapse", 0),
            }
            self.alliance.put(table, key, records[table])


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


def forge(it: Attempt) -> None:
    """The consent says one thing, and its signature another."""
    assert it.consent is not None
    it.consent.is_forged = True


def spend_nonce(it: Attempt) -> None:
    """The consent was used before."""
    assert it.consent is not None
    it.consent.is_spent = True
