"""What of a window's payments is still to be made, and what of it is owed in the open window instead.

A payment is made once payer and payee have attested it. An abort brings every other one over as it is. With a
default, the entry's draws say what cover, reserve and fund gave; what then is missing is shared and matched
as `contracts.mechanics.waterfall` does, from the window's own statement.
"""

from __future__ import annotations

from collections.abc import Sequence

from contracts.mechanics.waterfall import SOURCES, match_debts, share_loss
from contracts.messages.statement import Statement
from ledger.outcome import Draw

Debts = dict[tuple[str, str], int]
"""(debtor, creditor) → micros."""


class Payment:
    """A transfer of a statement, and who has attested it."""

    __slots__ = ("_attested", "micros", "payee", "payer")

    def __init__(self, payer: str, payee: str, micros: int) -> None:
        self.payer = payer
        self.payee = payee
        self.micros = micros
        self._attested: set[str] = set()

    @property
    def is_made(self) -> bool:
        """Whether both have said so, or a default has met it."""
        return self._attested >= {self.payer, self.payee}

    def attest(self, *participants: str) -> None:
        """They say so."""
        self._attested.update(participants)


def list_payments(statement: Statement) -> list[Payment]:
    """The payments of a window that was just closed."""
    unit = statement.payment_unit_micros
    return [Payment(each.source, each.destination, each.units * unit) for each in statement.transfers]


def bring_over(payments: Sequence[Payment]) -> Debts:
    """What is owed again once a window is aborted."""
    return {(each.payer, each.payee): each.micros for each in payments if not each.is_made}


def bring_default(
    statement: Statement, payments: Sequence[Payment], defaulter: str, draws: Sequence[Draw]
) -> Debts:
    """What the creditors of a default come to owe; the defaulter's payments count as made."""
    unmade = [each for each in payments if each.payer == defaulter and not each.is_made]
    owed = [(each.payee, each.micros) for each in unmade]
    missing = _compute_missing(sum(micros for _, micros in owed), draws)
    losses = share_loss(statement, defaulter, owed, missing)
    for payment in unmade:
        payment.attest(payment.payer, payment.payee)
    return match_debts(losses, owed, missing=missing)


def _compute_missing(shortfall: int, draws: Sequence[Draw]) -> int:
    """What cover, reserve and fund left missing: each gave at most once, in this order, before anybody else.

    An enactment declares one default at the most, so its draws are those of this one.
    """
    missing = shortfall
    ahead = list(draws)
    for source in SOURCES:
        if missing and ahead and ahead[0].source == source:
            missing -= ahead.pop(0).micros
    return missing
